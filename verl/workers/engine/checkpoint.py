"""What a checkpoint holds of one model: its parts, how they are written, and whether they fit the one that reads them.

Shards are written and read by torch.distributed.checkpoint (DCP), so any number of ranks can read what another wrote.
"""
import copy
import datetime
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor
from transformers import PretrainedConfig

from verl.workers.engine.weights import WeightSource

WRITE_TIMEOUT = datetime.timedelta(minutes=30)  # that ranks wait for one another between their files
# Entries of config.json that may differ between a checkpoint and the model that reads it: they change no output.
FREE_ENTRIES = PretrainedConfig().to_dict().keys() - {"model_type"} | {
    "attention_dropout", "bos_token_id", "classifier_dropout", "eos_token_id", "initializer_range",
    "max_position_embeddings", "pad_token_id", "use_cache"
}  # yapf: disable


@dataclass(frozen=True)
class Snapshot:
    """A model as it was at one moment: this rank's shards of it. All ranks write it together.

    Attributes:
        parts: of CHECKPOINT_PARTS, as DCP takes them.
        weights: for the Hugging Face folder, none where it was not asked for.
        shapes: of the parameters, by name.
        config: the model's.
        generation_config: the model's file; it may not be there.
        group: whose collectives may be used while writing; None: the default group.
    """
    parts: dict[str, Any]
    weights: WeightSource
    shapes: dict[str, list[int]]
    config: PretrainedConfig
    generation_config: Path
    group: dist.ProcessGroup | None = None

    def write(self, directory: Path, role: str = "actor") -> None:
        """The parts go into the folder `role` of `directory`, the weights into `hf_folder(role)`."""
        if self.parts:
            self.save(directory / role)
        if self.weights.parameters:
            self.export_hf(directory / hf_folder(role))

    def save(self, directory: Path) -> None:
        """Writes the parts for `read`."""
        directory.mkdir(parents=True, exist_ok=True)
        dcp.save(self.parts, checkpoint_id=str(directory), process_group=self.group)
        if dist.get_rank() == 0:
            (directory / "parameters.json").write_text(json.dumps(self.shapes))
            self.config.to_json_file(directory / "config.json", use_diff=False)

    def export_hf(self, directory: Path) -> None:
        """Writes the weights as a Hugging Face folder (config and safetensors)."""
        writer = dist.get_rank() == 0
        if writer:
            directory.mkdir(parents=True, exist_ok=True)
            self.config.save_pretrained(directory)
            if self.generation_config.is_file():  # it may name more than one end of an answer
                shutil.copy(self.generation_config, directory)
        self.weights.write_safetensors(directory, writer)


def hf_folder(role: str) -> str:
    """Name of the Hugging Face folder within a checkpoint."""
    return "huggingface" if role == "actor" else f"{role}_huggingface"


def read(directory: Path, parts: dict[str, Any], shapes: dict[str, list[int]], config: PretrainedConfig) -> None:
    """Fills the tensors of `parts` from what `Snapshot.save` wrote, once it is seen to be of a model of these `shapes`
    and this `config`, and to hold the parts. ValueError if not.
    """
    there = json.loads((directory / "parameters.json").read_text())
    _refuse_difference(directory, there, shapes, there.keys() | shapes.keys())
    there, here = json.loads((directory / "config.json").read_text()), json.loads(config.to_json_string(use_diff=False))
    _refuse_difference(directory, there, here, (there.keys() & here.keys()) - FREE_ENTRIES)
    saved = {key.split(".")[0] for key in dcp.FileSystemReader(directory).read_metadata().state_dict_metadata}
    if missing := sorted(parts.keys() - saved):
        raise ValueError(f"{directory} holds no {missing[0]} (checkpoint.save_contents of its run left it out); "
                         f"set checkpoint.load_contents=[{','.join(sorted(parts.keys() & saved))}]")
    dcp.load(parts, checkpoint_id=str(directory))


def _refuse_difference(directory: Path, there: dict[str, Any], here: dict[str, Any], names: set[str]) -> None:
    different = sorted(name for name in names if there.get(name) != here.get(name))
    if different:
        name = different[0]
        raise ValueError(f"{directory} is a checkpoint of another model ({name} is {there.get(name)} there, "
                         f"{here.get(name)} here); set trainer.resume_mode=disable or another "
                         "trainer.default_local_dir")


@dataclass(frozen=True)
class Staging:
    """Copies of sharded state in host memory, and process groups of their own: while a thread writes the copies, the
    model itself and the groups it uses go on.
    """
    mesh: DeviceMesh
    group: dist.ProcessGroup

    @classmethod
    def like(cls, mesh: DeviceMesh) -> "Staging":
        """For DTensors on `mesh`. Collective."""
        own_groups = dict.fromkeys(range(mesh.ndim), "gloo")  # else a mesh of all ranks shares the default group
        host = init_device_mesh("cpu", tuple(mesh.shape), mesh_dim_names=mesh.mesh_dim_names,
                                backend_override=own_groups)  # yapf: disable
        return cls(host, dist.new_group(backend="gloo", timeout=WRITE_TIMEOUT))

    def copy(self, state: Any) -> Any:
        """`state` (nested dicts of tensors and plain values), complete when this returns."""
        copied = self._copy(state)
        if torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()
        return copied

    def _copy(self, state: Any) -> Any:
        if isinstance(state, dict):
            return {name: self._copy(value) for name, value in state.items()}
        if isinstance(state, DTensor):
            return DTensor.from_local(_to_host(state.to_local()), self.mesh, state.placements, run_check=False,
                                      shape=state.shape, stride=state.stride())  # yapf: disable
        return _to_host(state) if isinstance(state, Tensor) else copy.deepcopy(state)


def _to_host(tensor: Tensor) -> Tensor:
    """A copy; from a device it may still be on its way."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
    return host.copy_(tensor.detach(), non_blocking=True)
