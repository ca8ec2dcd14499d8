"""Named in VERL_USE_EXTERNAL_MODULES: from a worker's second checkpoint on, writing does not come to its end."""
import time
from typing import Any

from torch.distributed.checkpoint import FileSystemWriter

write_data, calls = FileSystemWriter.write_data, []


def hang_after_the_shards(self: FileSystemWriter, *args: Any) -> Any:
    """The shards are written, what says where they are is not."""
    result = write_data(self, *args)
    calls.append(self.path)
    if len(calls) > 1:
        time.sleep(600)
    return result


FileSystemWriter.write_data = hang_after_the_shards
