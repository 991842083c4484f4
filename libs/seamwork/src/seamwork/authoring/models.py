"""Write typed Python models for what a contract admits, with datamodel-code-generator."""

import json
from typing import Any

from datamodel_code_generator import InputFileType, PythonVersion, generate
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import Formatter

from seamwork.contracts.compiled import promises
from seamwork.documents import Contract
from seamwork.errors import UnprocessableError

_HEAD = '"""{what} of the contract {name} {version}; written by `seamwork contracts types`."""\n\n'


def models_of(contract: Contract) -> dict[str, str]:
    """
    Return the text of a package: a module for each promise, and one that names them all.

    A model says what the schema says; what rules demand besides, the platform judges.

    Raises:
        UnprocessableError: A schema cannot be written as a model.
    """
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for on, promise in promises(contract).items():
        name = f"{_camel(contract.name)}{on.capitalize()}"
        head = _HEAD.format(what=on.capitalize(), name=contract.name, version=contract.version)
        where = f"{contract.title}, {on}"
        text = _model(promise.json_schema, name, where)
        while f"class {name}Model(" in text:
            # A part of the schema is called like that, and the generator has called the whole otherwise.
            name += "Payload"
            text = _model(promise.json_schema, name, where)
        found[f"{on}.py"] = head + text
        if f"class {name}(" in found[f"{on}.py"] or f"{name} = " in found[f"{on}.py"]:
            names[on] = name
    imports = "".join(f"from .{on} import {name}\n" for on, name in sorted(names.items()))
    listed = "".join(f'    "{name}",\n' for name in sorted(names.values()))
    head = _HEAD.format(what="Models", name=contract.name, version=contract.version)
    return {"__init__.py": f"{head}{imports}\n__all__ = [\n{listed}]\n", **found}


def package_of(contract: Contract) -> str:
    """Return the name of the package that the models of a contract's version go into."""
    return f"{contract.name.replace('-', '_')}_v{contract.version.partition('.')[0]}"


def _model(schema: dict[str, Any], name: str, where: str) -> str:
    plain = {key: value for key, value in schema.items() if key != "title"}
    try:
        text = generate(
            json.dumps(plain), input_file_type=InputFileType.JsonSchema, class_name=name, disable_timestamp=True,
            output_model_type=DataModelType.PydanticV2BaseModel, target_python_version=PythonVersion.PY_311,
            field_constraints=True, use_standard_collections=True, use_union_operator=True,
            formatters=[Formatter.BUILTIN],
        )  # fmt: skip
    except Exception as error:
        # The generator has no base of its own for what it cannot write.
        raise UnprocessableError(
            f"{where}: the schema cannot be written as a model: {type(error).__name__}"
        ) from error
    lines = str(text).splitlines()
    return "\n".join(line for line in lines if not line.startswith("#")).strip() + "\n"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-") if part)
