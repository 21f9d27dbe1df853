# run: CRASH SIGBUS
import mmap


def test_case(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(8192))
    with path.open("r+b") as stream:
        mapped = mmap.mmap(stream.fileno(), 0)
        stream.truncate(0)
        mapped[4096]
