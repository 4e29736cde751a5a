#!/bin/sh
# Makes LoRA Extractor known to this person's desktop and shell, from where it was unpacked; `install.sh --remove` undoes it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
commands=$HOME/.local/bin

remove() {
    rm -f "$commands/lora-extractor" "$commands/lora-extractor-gui" \
        "$data/applications/lora-extractor.desktop" "$data/mime/packages/lora-extractor.xml"
    find "$data/icons/hicolor" -name 'lora-extractor.*' -delete 2>/dev/null || true
}

tell_desktop() {
    update-mime-database "$data/mime" 2>/dev/null || true
    update-desktop-database "$data/applications" 2>/dev/null || true
}

remove
if [ "${1:-}" = --remove ]; then
    tell_desktop
    echo "Removed. Delete $here to be rid of the program; your profiles stay."
    exit 0
fi
mkdir -p "$commands" "$data/applications" "$data/mime/packages" "$data/icons"
ln -s "$here/lora-extractor" "$here/lora-extractor-gui" "$commands/"
safe=$(printf %s "$here" | sed 's/[&|\\]/\\&/g') # for sed, whose replacement these mean something in
sed "s|^Exec=lora-extractor-gui|Exec=\"$safe/lora-extractor-gui\"|; s|^TryExec=.*|TryExec=$safe/lora-extractor-gui|" \
    "$here/share/applications/lora-extractor.desktop" >"$data/applications/lora-extractor.desktop"
cp "$here/share/mime/packages/lora-extractor.xml" "$data/mime/packages/"
cp -r "$here/share/icons/hicolor" "$data/icons/"
tell_desktop
echo "Installed for you: LoRA Extractor is in the menu, and lora-extractor in $commands."
