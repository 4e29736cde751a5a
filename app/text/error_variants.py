"""Wordings of errors whose code has several reasons, each with words of its own; `app.text.errors` chooses."""

from __future__ import annotations

from app.text.translation import marked
from engine.errors import ErrorCode

VARIANTS: dict[tuple[ErrorCode, str], tuple[str, str]] = {
    # the same code with a reason of its own
    (ErrorCode.IS_DIRECTORY, "empty"): (
        marked("errors", "There is no .safetensors file in the folder {file}."),
        marked("errors", "Choose a folder with one model in it, or the model's file."),
    ),
    (ErrorCode.IS_DIRECTORY, "several"): (
        marked("errors", "There is more than one model in the folder {file}: {names}."),
        marked("errors", "Choose one of these files."),
    ),
    (ErrorCode.IS_DIRECTORY, "unusable"): (
        marked("errors", "No file in the folder {file} is a model that can be used: {names}."),
        marked("errors", "Choose a .safetensors file with a model's weights."),
    ),
    (ErrorCode.IS_DIRECTORY, "sharded"): (
        marked("errors", "The model in the folder {file} is split into several files, which is not supported yet."),
        marked("errors", "Get or make a version of it in a single .safetensors file."),
    ),
    (ErrorCode.IS_DIRECTORY, "diffusers"): (
        marked("errors", "The folder {file} holds a model in diffusers' folders, which is not supported yet."),
        marked("errors", "Get a version of it in a single .safetensors file."),
    ),
    (ErrorCode.OUTPUT_UNWRITABLE, "is_file"): (
        marked("errors", "The output folder {file} is a file."),
        marked("errors", "Choose a folder for the output."),
    ),
    (ErrorCode.OUTPUT_UNWRITABLE, "below_file"): (
        marked("errors", "The output folder {file} cannot be made, because {at} is a file."),
        marked("errors", "Choose another output folder."),
    ),
    (ErrorCode.OUTPUT_UNWRITABLE, "closed"): (
        marked("errors", "The output folder {file} does not take new files."),
        marked("errors", "Choose another output folder, or change the folder's permissions."),
    ),
    (ErrorCode.OUTPUT_UNWRITABLE, "below_closed"): (
        marked("errors", "The output folder {file} cannot be made, because {at} does not take new folders."),
        marked("errors", "Choose another output folder, or change that folder's permissions."),
    ),
    (ErrorCode.OUTPUT_UNWRITABLE, "broken_link"): (
        marked("errors", "The output folder {file} cannot be used, because {at} is a link that leads nowhere."),
        marked("errors", "Choose another output folder, or mend the link."),
    ),
    (ErrorCode.OUTPUT_UNWRITABLE, "no_drive"): (
        marked("errors", "The output folder {file} cannot be made, because {at} is not there."),
        marked("errors", "Connect the drive, or choose another output folder."),
    ),
    (ErrorCode.HEADER_INVALID, "tensor"): (
        marked("errors", "The header of {file} is broken at {tensor}: {reason}."),
        marked("errors", "The file is damaged or was written by a faulty program; get it again."),
    ),
    (ErrorCode.NON_FINITE, "several"): (
        marked("errors", "{tensor} in {file} contains NaN or infinite values, and {more}. Nothing was written."),
        marked("errors", "Get an undamaged file, or leave such layers out with --skip-nonfinite."),
    ),
    (ErrorCode.DISK_FULL, "before"): (
        marked("errors", "The LoRA needs up to {needed} and {file} has {free} free."),
        marked("errors", "Free some space or choose another output folder."),
    ),
    (ErrorCode.DISK_FULL, "while"): (
        marked("errors", "There is no space left to write to {file}. Nothing was kept of the file."),
        marked("errors", "Free some space or choose another output folder."),
    ),
    (ErrorCode.NOT_A_MODEL, "no_header"): (
        marked("errors", "{file} is not a safetensors model."),
        marked("errors", "Choose a .safetensors file with a model's weights."),
    ),
    (ErrorCode.NOT_CACHED, "no_pair"): (
        marked("errors", "No pair of models in the cache begins with {name}."),
        marked("errors", "There are: {available}."),
    ),
    (ErrorCode.NOT_CACHED, "several"): (
        marked("errors", "More than one pair begins with {name}."),
        marked("errors", "Give more of it: {available}."),
    ),
    (ErrorCode.NOT_CACHED, "layers"): (
        marked("errors", "{missing} of {of} layers are not in the cache at these settings."),
        marked("errors", "Ask for a rank at or below the one that was computed, or extract from the two models."),
    ),
    (ErrorCode.NOT_A_MODEL, "no_tensors"): (
        marked("errors", "{file} holds no tensors."),
        marked("errors", "Choose a file with a model's weights."),
    ),
    (ErrorCode.NOT_A_MODEL, "is_lora"): (
        marked("errors", "{file} is a LoRA already, not a model."),
        marked("errors", "Choose a full fine-tuned model and its original."),
    ),
    (ErrorCode.OUTPUT_ESCAPES, "leaves"): (
        marked("errors", "The file name {file} leads out of the output folder."),
        marked("errors", "Use a name, or a subfolder and a name; choose the place with the output folder."),
    ),
    (ErrorCode.OUTPUT_ESCAPES, "no_name"): (
        marked("errors", "The file name {file} ends in a folder."),
        marked("errors", "Add a name after it."),
    ),
    (ErrorCode.OUTPUT_ESCAPES, "blank"): (
        marked("errors", "The file name is blank."),
        marked("errors", "Type a name for the LoRA."),
    ),
    (ErrorCode.OUTPUT_ESCAPES, "bad_name"): (
        marked("errors", "The file name {file} cannot be a file's name on every system."),
        marked("errors", 'Leave out < > : " | ? * and names such as CON.'),
    ),
    (ErrorCode.OUTPUT_ESCAPES, "too_long"): (
        marked("errors", "The file name {file} is too long."),
        marked("errors", "Choose a shorter one."),
    ),
    (ErrorCode.PROFILE_INVALID, "corrupt"): (
        marked("errors", "{file} is not a hardware profile."),
        marked("errors", "Choose a file written by a profile export."),
    ),
    (ErrorCode.PROFILE_INVALID, "newer"): (
        marked("errors", "{file} was written by a newer version of LoRA Extractor."),
        marked("errors", "Update LoRA Extractor, or export the profile again with this version."),
    ),
    (ErrorCode.PROFILE_INVALID, "values"): (
        marked("errors", "{file} holds values that no profile can have."),
        marked("errors", "Choose a file written by a profile export."),
    ),
    (ErrorCode.PROFILE_INVALID, "name"): (
        marked("errors", "{name} cannot be a profile's name."),
        marked("errors", "Use 1 to 80 printable characters."),
    ),
    (ErrorCode.PROFILE_INVALID, "occupied"): (
        marked("errors", "{file} exists and is not a hardware profile, so it is not overwritten."),
        marked("errors", "Choose another file name."),
    ),
    (ErrorCode.LORA_MISMATCH, "foreign"): (
        marked("errors", "{file} does not belong to these models: no key such as {tensor} matches a weight."),
        marked("errors", "Choose the two models that the LoRA was extracted from."),
    ),
    (ErrorCode.LORA_MISMATCH, "non_finite"): (
        marked("errors", "{tensor} in {file} contains NaN or infinite values."),
        marked("errors", "The LoRA is broken; extract it again."),
    ),
    (ErrorCode.LORA_MISMATCH, "shape"): (
        marked("errors", "{tensor} in {file} has another shape than the weight it belongs to."),
        marked("errors", "Choose the two models that the LoRA was extracted from."),
    ),
}
