"""What of Qt, torch and the system stays out of a bundle, and why: PyInstaller collects by rules that cannot know.

Every part has a reason. The build measures each, and fails where something that stays needs a file that was left out.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from installers.contents import Part


def _qt(*modules: str) -> tuple[str, ...]:
    """Files of Qt modules: libraries and Python bindings on all three systems."""
    return tuple(
        pattern.format(module)
        for module in modules
        for pattern in (
            "*libQt6{0}.so*",
            "*Qt6{0}.dll",
            "*Qt{0}.framework/*",
            "Qt{0}",
            "PySide6/Qt{0}.abi3.so",
            "PySide6/Qt{0}.pyd",
        )
    )


TORCH_PARTS = (
    Part("torch's own tests", "C++ test programs", ("torch/test/*",)),
    Part("torch's headers and build files", "for compiling extensions", ("torch/include/*", "torch/share/*")),
    Part(
        "torch's programs",
        "protoc compiles, the others are test programs; `import torch` insists on torch_shm_manager, which stays",
        ("torch/bin/[!t]*", "torch/bin/test_*"),
    ),
    Part(
        "torch's test libraries",
        "for its own tests and for compiled models",
        (
            "torch/lib/libtorchbind_test*",
            "torch/lib/libjitbackend_test*",
            "torch/lib/libbackend_with_compiler*",
            "torch/lib/libaoti_custom_ops*",
        ),
    ),
    Part(
        "torch.compile",
        "nothing is compiled: layers differ in shape, and a compiler is not there",
        modules=("torch._inductor", "torch._dynamo", "functorch"),
    ),
    Part("Triton", "the compiler's back end on accelerators", ("triton/*",), ("triton", "pytorch_triton")),
    Part(
        "torch.testing._internal",
        "torch's own test suite, but for what `import torch` itself loads",
        modules=("torch.testing._internal",),
        but=tuple(f"torch.testing._internal{name}" for name in ("", ".common_dtype", ".logging_tensor")),
    ),
    Part(
        "torch.distributed's strategies",
        "one process on one machine; what `import torch` itself loads of it stays",
        modules=tuple(
            f"torch.distributed.{name}"
            for name in (
                "_composable",
                "_local_tensor",
                "_shard",
                "_symmetric_memory",
                "_tools",
                "checkpoint",
                "elastic",
                "flight_recorder",
                "fsdp",
                "nn",
                "optim",
                "pipelining",
                "tensor",
            )
        ),
    ),
    Part("torch.onnx", "nothing is exported to ONNX", modules=("torch.onnx",)),
    Part(
        "torch's quantisation workflows",
        "for models that are trained or run quantised",
        modules=("torch.ao.ns", "torch.ao.pruning"),
    ),
    Part(
        "torch's tools for developers",
        "converters, compilers and benchmarks of extensions",
        modules=(
            "torch.utils.benchmark",
            "torch.utils.bottleneck",
            "torch.utils.hipify",
            "torch.utils.tensorboard",
            "torch.utils._sympy",
            "torch.utils.cpp_extension",
            "torch.utils.viz",
            "torch.utils.model_dump",
            "torch._numpy",
        ),
    ),
    Part(
        "sympy, mpmath, networkx, Jinja2, fsspec, setuptools",
        "torch needs them to compile, to export and to install",
        ("markupsafe/*", "markupsafe-*", "setuptools/*", "setuptools-*", "jinja2-*", "fsspec-*"),
        (
            "sympy",
            "isympy",
            "mpmath",
            "networkx",
            "jinja2",
            "markupsafe",
            "fsspec",
            "setuptools",
            "pkg_resources",
            "_distutils_hack",
        ),
    ),
)

QT_PARTS = (
    Part(
        "Qt's other modules",
        "OpenGL and the test module come with pyqtgraph, which does without them (installers/without_opengl.py)",
        (
            *_qt("OpenGL", "OpenGLWidgets", "Test", "Qml", "QmlModels", "QmlMeta", "QmlWorkerScript", "Quick"),
            *_qt("QuickWidgets", "VirtualKeyboard", "Pdf", "Sql", "PrintSupport", "Xml", "Concurrent", "SvgWidgets"),
            "PySide6/QtDBus.abi3.so",
            "PySide6/QtDBus.pyd",
        ),
        tuple(f"PySide6.{name}" for name in ("QtOpenGL", "QtOpenGLWidgets", "QtTest", "QtQml", "QtQuick", "QtDBus")),
    ),
    Part("OpenGL in software", "widgets are drawn without OpenGL", ("*opengl32sw.dll", "*d3dcompiler_47.dll")),
    Part(
        "Qt without a desktop",
        "frame buffers, VNC and devices of embedded systems",
        (
            *_qt("EglFSDeviceIntegration", "EglFsKmsSupport"),
            "*/plugins/egldeviceintegrations/*",
            "*/plugins/generic/*",
            *(
                f"*/plugins/platforms/libq{name}.so"
                for name in ("eglfs", "linuxfb", "minimalegl", "vkkhrdisplay", "vnc", "minimal")
            ),
        ),
    ),
    Part(
        "Qt's OpenGL for X11 and Wayland",
        "widgets are drawn without OpenGL",
        ("*/plugins/xcbglintegrations/*", "*/plugins/wayland-graphics-integration-client/*"),
    ),
    Part(
        "Wayland shells other than xdg-shell",
        "for car displays and kiosks",
        tuple(
            f"*/plugins/wayland-shell-integration/lib{name}.so"
            for name in ("fullscreen-shell-v1", "ivi-shell", "qt-shell", "wl-shell-plugin")
        )
        + _qt("WlShellIntegration"),
    ),
    Part(
        "Qt's picture formats",
        "icons are SVG, what the program draws is PNG, and PNG is in QtGui",
        tuple(
            f"*/plugins/imageformats/*q{name}.*"
            for name in ("gif", "icns", "ico", "jpeg", "pdf", "tga", "tiff", "wbmp", "webp")
        ),
    ),
    Part(
        "Qt's network plugins",
        "the program opens no connection; QtNetwork is there for the local socket of a single window",
        ("*/plugins/tls/*", "*/plugins/networkinformation/*"),
    ),
    Part(
        "Translations of Qt's tools",
        "help viewer and designers; what dialogs say is in qtbase",
        ("*/translations/qt_help_*", "*/translations/qt_??.qm", "*/translations/qt_??_??.qm"),
    ),
)

PYTHON_PARTS = (
    Part(
        "Python's databases and consoles",
        "no database is used, and no interactive console",
        (
            "*lib-dynload/_sqlite3*",
            "*_sqlite3.pyd",
            "*sqlite3.*",
            "*lib-dynload/readline*",
            "libreadline.*",
            "libtinfo.*",
        ),
        ("sqlite3", "readline", "rlcompleter", "tkinter", "lib2to3", "idlelib", "ensurepip"),
    ),
    Part(
        "Pygments and Python's own documentation",
        "no source code is shown in colour, and no help about Python",
        modules=("pygments", "pydoc_data"),
    ),
    Part("The demo's training", "a script for developers", modules=("resources.demo.train",)),
    Part(
        "pyqtgraph's examples, 3D and flow charts",
        "plots are flat",
        ("pyqtgraph/examples/*", "pyqtgraph/icons/*", "pyqtgraph/colors/maps/*"),
        ("pyqtgraph.examples", "pyqtgraph.opengl", "pyqtgraph.flowchart", "pyqtgraph.console"),
    ),
)

# Libraries that talk to the display, the fonts and the session must be the system's own: a plugin of the system, such
# as GTK's theme or a graphics driver, would otherwise meet a second copy of another version in the same process.
SYSTEM_PART = Part(
    "The system's own libraries",
    "every desktop has them, and they must fit what else the desktop loads; the .deb declares each",
    tuple(
        f"{name}.so*"
        for name in (
            "libX*",
            "libxcb-glx",
            "libxcb-randr",
            "libxcb-render",
            "libxcb-shape",
            "libxcb-shm",
            "libxcb-sync",
            "libxcb-xfixes",
            "libxcb-xkb",
            "libxkbcommon",
            "libxkbcommon-x11",
            "libwayland-*",
            "libglib-2.0",
            "libgio-2.0",
            "libgobject-2.0",
            "libgmodule-2.0",
            "libgthread-2.0",
            "libgtk-3",
            "libgdk-3",
            "libgdk_pixbuf-2.0",
            "libatk*",
            "libatspi",
            "libcairo*",
            "libpango*",
            "libharfbuzz",
            "libgraphite2",
            "libfribidi",
            "libthai",
            "libdatrie",
            "libpixman-1",
            "libepoxy",
            "libjpeg",
            "libpng16",
            "libfontconfig",
            "libfreetype",
            "libexpat",
            "libbrotli*",
            "libdbus-1",
            "libsystemd",
            "libgcrypt",
            "libgpg-error",
            "libcap",
            "liblz4",
            "libzstd",
            "liblzma",
            "libpcre2-8",
            "libmount",
            "libblkid",
            "libselinux",
            "libuuid",
            "libgssapi_krb5",
            "libkrb5",
            "libk5crypto",
            "libkrb5support",
            "libcom_err",
            "libkeyutils",
            "libbsd",
            "libmd",
            "libstdc++",
            "libgcc_s",
            "libz",
        )
    ),
)
PARTS = (*TORCH_PARTS, *QT_PARTS, *PYTHON_PARTS, SYSTEM_PART)

# Their symbol tables serve a debugger alone. Libraries edited after linking, as those of numpy, do not bear it.
STRIPPED = ("torch/lib/*.so*", "libpython3*.so*", "python3*/lib-dynload/*.so", "torch/_C*.so", "torch/_C/*.so")


def is_stripped(name: str) -> bool:
    """Whether a library's symbol table is taken off."""
    return any(fnmatchcase(name.replace("\\", "/"), pattern) for pattern in STRIPPED)
