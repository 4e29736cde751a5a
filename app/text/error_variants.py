"""The wordings of those errors whose cause and remedy depend on more than their code."""

from __future__ import annotations

from app.text.translation import marked
from engine.errors import ErrorCode

VARIANTS: dict[tuple[ErrorCode, str], tuple[str, str]] = {
    # code and reason: cause, remedy; for codes with several reasons
    (ErrorCode.PART_UNKNOWN, "one_model"): (
        marked("errors", "{file} holds one model, and none that is called {name}."),
        marked("errors", "Leave out what follows the file's name."),
    ),
    (ErrorCode.IS_DIRECTORY, "empty"): (
        marked("errors", "There is no model in the folder {file}."),
        marked("errors", "Choose a folder with one model in it, or the model's file."),
    ),
    (ErrorCode.IS_DIRECTORY, "several"): (
        marked("errors", "There is more than one model in the folder {file}: {names}."),
        marked("errors", "Choose one of these files."),
    ),
    (ErrorCode.IS_DIRECTORY, "unusable"): (
        marked("errors", "No file in the folder {file} is a model that can be used: {names}."),
        marked("errors", "Choose a file with a model's weights: .safetensors, .gguf, .ckpt, .pt, .pth or .bin."),
    ),
    (ErrorCode.PICKLE_REFUSED, "class"): (
        marked("errors", "{file} wants to make a {name}, which no weights need. Nothing of it was run."),
        marked("errors", "Get a version of it as .safetensors, or one from a source that you trust."),
    ),
    (ErrorCode.PICKLE_REFUSED, "negated"): (
        marked("errors", "{file} holds a tensor whose numbers are stored conjugated or negated."),
        marked("errors", "Load and save it as .safetensors with the program that wrote it."),
    ),
    (ErrorCode.PICKLE_REFUSED, "view"): (
        marked("errors", "{tensor} in {file} is a view of other numbers that cannot be read by itself."),
        marked("errors", "Load and save it as .safetensors with the program that wrote it."),
    ),
    (ErrorCode.UNSUPPORTED_CONTAINER, "compressed"): (
        marked("errors", "{tensor} in {file} is compressed, which no model's file is."),
        marked("errors", "Unpack the archive, or get a version of the model as .safetensors."),
    ),
    (ErrorCode.UNSUPPORTED_CONTAINER, "program"): (
        marked("errors", "{file} is a TorchScript program and no file of weights."),
        marked("errors", "Get a version of the model as .safetensors."),
    ),
    (ErrorCode.UNSUPPORTED_CONTAINER, "byte_order"): (
        marked("errors", "{file} was written on a machine that stores numbers the other way round."),
        marked("errors", "Get a version of the model as .safetensors."),
    ),
    (ErrorCode.NOT_A_MODEL, "plain_zip"): (
        marked("errors", "{file} is a zip archive without a model of PyTorch in it."),
        marked("errors", "Unpack it, and choose the model's file."),
    ),
    (ErrorCode.NOT_A_MODEL, "plain_pickle"): (
        marked("errors", "{file} is a pickle, but not one that torch.save wrote."),
        marked("errors", "Get a version of the model as .safetensors."),
    ),
    (ErrorCode.SHARD_MISSING, "index"): (
        marked("errors", "{file} is missing, one of {count} files that {index} names."),
        marked("errors", "Get what is missing of the model and put it into the same folder: {names}."),
    ),
    (ErrorCode.SHARD_MISSING, "numbered"): (
        marked("errors", "{file} is missing, one of {count} numbered files of a model."),
        marked("errors", "Get what is missing of the model and put it into the same folder: {names}."),
    ),
    (ErrorCode.INDEX_INVALID, "not_json"): (
        marked("errors", "{file} is no index of a model: it is not valid JSON."),
        marked("errors", "Get the file again."),
    ),
    (ErrorCode.INDEX_INVALID, "no_table"): (
        marked("errors", "{file} is no index of a model: it does not say which file a tensor lies in."),
        marked("errors", "Choose a model's file or its index."),
    ),
    (ErrorCode.INDEX_INVALID, "named_twice"): (
        marked("errors", "{file} names {tensor} twice."),
        marked("errors", "The index is damaged or was written by a faulty program; get it again."),
    ),
    (ErrorCode.INDEX_INVALID, "part_name"): (
        marked("errors", "{file} says that {tensor} lies in “{part}”, which is not opened: {detail}."),
        marked("errors", "Get the model from a source that you trust."),
    ),
    (ErrorCode.INDEX_INVALID, "absent"): (
        marked("errors", "{tensor} is not in {part}, where {file} says it is."),
        marked("errors", "{part} and the index do not belong together; get both again."),
    ),
    (ErrorCode.INDEX_INVALID, "unnamed"): (
        marked("errors", "{part} holds {tensor}, which {file} does not name."),
        marked("errors", "{part} and the index do not belong together; get both again."),
    ),
    (ErrorCode.INDEX_INVALID, "elsewhere"): (
        marked("errors", "{tensor} lies in {part}, and {file} says that it lies in {other}."),
        marked("errors", "{part} and the index do not belong together; get both again."),
    ),
    (ErrorCode.INDEX_INVALID, "twice"): (
        marked("errors", "{tensor} lies both in {other} and in {part} ({file})."),
        marked("errors", "The two are not parts of one model; get the model again."),
    ),
    (ErrorCode.QUANTISED, "gguf"): (
        marked("errors", "{file} holds weights of a type that cannot be read: {scheme} (seen at {tensor})."),
        marked("errors", "Use the model as Q2_K to Q6_K, Q4_0 to Q8_0, IQ4_NL, IQ4_XS, F16 or BF16 instead."),
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
    (ErrorCode.QUANTISED, "unknown_format"): (
        marked("errors", "{file} holds weights in a format that is not known here: {scheme} (seen at {tensor})."),
        marked("errors", "Update LoRA Extractor, or use the version it was made from (fp16, bf16)."),
    ),
    (ErrorCode.HEADER_INVALID, "tensor"): (
        marked("errors", "The header of {file} is broken at {tensor}: {reason}."),
        marked("errors", "The file is damaged or was written by a faulty program; get it again."),
    ),
    (ErrorCode.FORMAT_UNSUITABLE, "no_names"): (
        marked("errors", "The format of {format} has no names for the layers of such models ({family})."),
        marked("errors", "Choose another format: {available}."),
    ),
    (ErrorCode.FORMAT_UNSUITABLE, "other_names"): (
        marked("errors", "The format of {format} names the layers of {family} otherwise than these files do."),
        marked("errors", "Choose another format: {available}."),
    ),
    (ErrorCode.FORMAT_UNSUITABLE, "full"): (
        marked("errors", "The format of {format} holds factors alone, and the type full stores whole differences."),
        marked("errors", "Choose another type, such as standard, or another format: {available}."),
    ),
    (ErrorCode.FORMAT_UNSUITABLE, "nothing"): (
        marked("errors", "The format of {format} has no place for any of the selected weights."),
        marked("errors", "Select other parts or layers, or choose another format: {available}."),
    ),
    (ErrorCode.FORMAT_UNSUITABLE, "nothing_changed"): (
        marked("errors", "The format of {format} has no place for what changed: nothing that it holds has changed."),
        marked("errors", "Select other parts or layers, or choose another format: {available}."),
    ),
    (ErrorCode.DTYPE_UNSUITABLE, "format"): (
        marked("errors", "Not all programs that read the format of {format} load factors in {dtype}."),
        marked("errors", "Choose fp16 as the precision, or another format: {available}."),
    ),
    (ErrorCode.DTYPE_UNSUITABLE, "full"): (
        marked("errors", "The type full stores whole differences, which are never in {dtype}."),
        marked("errors", "Choose fp16 as the precision, or another type, such as standard."),
    ),
    (ErrorCode.DTYPE_UNSUITABLE, "alpha"): (
        marked("errors", "In {dtype} each layer's alpha holds the scale of its factors, and cannot be chosen."),
        marked("errors", "Leave the alpha at auto, or choose fp16 as the precision."),
    ),
    (ErrorCode.PROGRAM_UNSUITABLE, "nothing"): (
        marked("errors", "{program} loads none of the selected weights."),
        marked("errors", "Select other parts or layers, or choose another program: {available}."),
    ),
    (ErrorCode.PROGRAM_UNSUITABLE, "nothing_changed"): (
        marked("errors", "{program} loads nothing of what changed: nothing that it loads has changed."),
        marked("errors", "Select other parts or layers, or choose another program: {available}."),
    ),
    (ErrorCode.PROGRAM_UNSUITABLE, "full"): (
        marked("errors", "{program} loads factors alone, and the type full stores whole differences."),
        marked("errors", "Choose another type, such as standard, or another program: {available}."),
    ),
    (ErrorCode.PROGRAM_UNSUITABLE, "rank"): (
        marked("errors", "{program} takes ranks up to {limit}."),
        marked("errors", "Choose a rank of {limit} or less, or another program: {available}."),
    ),
    (ErrorCode.PROGRAM_UNSUITABLE, "fp8"): (
        marked("errors", "{program} does not load factors in fp8."),
        marked("errors", "Choose fp16 or bf16 as the precision, or another program: {available}."),
    ),
    (ErrorCode.PROGRAM_UNSUITABLE, "equal_ranks"): (
        marked("errors", "{program} needs the same rank for the query, key and value of an attention."),
        marked("errors", "Choose the type standard, or another program: {available}."),
    ),
    (ErrorCode.NON_FINITE, "several"): (
        marked("errors", "{tensor} in {file} contains NaN or infinite values, and {more}. Nothing was written."),
        marked("errors", "Get an undamaged file, or leave such layers out with --skip-nonfinite."),
    ),
    (ErrorCode.NO_DIFFERENCE, "grown"): (
        marked(
            "errors",
            "All that both models have is the same; only what the fine-tuned model has beyond the original differs, "
            "as in {tensor}.",
        ),
        marked("errors", "A LoRA changes what both models have: use the fine-tuned model itself, or choose another."),
    ),
    (ErrorCode.NO_DIFFERENCE, "rounding"): (
        marked("errors", "The two models differ by rounding alone: one is the other saved in another number format."),
        marked("errors", "Choose another fine-tuned model or another original."),
    ),
    (ErrorCode.NO_DIFFERENCE, "only_noise"): (
        marked("errors", "In no layer is the change larger than what rounding to the stored numbers makes by itself."),
        marked(
            "errors",
            "Choose the fine-tuned model in higher precision, if there is one, or another type than Adaptive, above "
            "rounding noise.",
        ),
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
        marked("errors", "{file} is no model in a format that is known."),
        marked("errors", "Choose a file with a model's weights: .safetensors, .gguf, .ckpt, .pt, .pth or .bin."),
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
    (ErrorCode.LORA_MISMATCH, "half"): (
        marked("errors", "{file} lacks the other factor to {tensor}, or the two do not fit together."),
        marked("errors", "The LoRA is damaged or was written by a faulty program; get it again."),
    ),
    (ErrorCode.LORA_MISMATCH, "malformed"): (
        marked("errors", "{tensor} in {file} has a shape that no factor or alpha has."),
        marked("errors", "The LoRA is damaged or was written by a faulty program; get it again."),
    ),
    (ErrorCode.LORA_MISMATCH, "two_forms"): (
        marked("errors", "{file} holds a layer both as factors and as the difference {tensor}."),
        marked("errors", "The LoRA is damaged or was written by a faulty program; get it again."),
    ),
    (ErrorCode.LORA_MISMATCH, "unknown_part"): (
        marked("errors", "{file} has {tensor} beside a layer's factors, which this program does not know."),
        marked("errors", "Choose a LoRA that consists of plain factors."),
    ),
    (ErrorCode.LORA_MISMATCH, "kind"): (
        marked("errors", "{file} is a {kind}, see {tensor}: what it changes is no product of two factors."),
        marked("errors", "Choose a LoRA of plain factors; files of this kind cannot be judged."),
    ),
    (ErrorCode.LORA_MISMATCH, "shape"): (
        marked("errors", "{tensor} in {file} has another shape than the weight it belongs to."),
        marked("errors", "Choose the two models that the LoRA was extracted from."),
    ),
}
