"""An import-linter contract that import-linter itself lacks: a package that may import only what is listed."""

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """`package` may import itself, the standard library and the top-level packages in `allowed`; nothing else."""

    package = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import of every module of the package, direct ones only: what redis imports is its own."""
        del verbose
        package = cast("str", self.package)
        free = {package, *cast("set[str]", self.allowed), *sys.stdlib_module_names}
        modules = {package, *graph.find_descendants(package)}
        faults = [
            (module, found)
            for module in sorted(modules)
            for found in sorted(graph.find_modules_directly_imported_by(module))
            if found.partition(".")[0] not in free
        ]
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not allowed."""
        for module, found in check.metadata["faults"]:
            output.print_error(f"{module} is not allowed to import {found}")
