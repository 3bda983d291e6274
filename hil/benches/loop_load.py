"""The load beside the loop: a process that hogs the CPU and one that runs an ONNX graph, both in the normal class."""

import sys

import numpy as np
import onnxruntime

SIZE = 384


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _bytes(tag: int, value: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(value)) + value


def matmul_model(size: int) -> bytes:
    """An ONNX model y = x x of `size` x `size` floats, written field by field (onnx.proto; no onnx package at run time)."""
    shape = b"".join(_bytes(1, _number(1, size)) for _ in range(2))
    tensor = _bytes(1, _number(1, 1) + _bytes(2, shape))

    def value(name: bytes) -> bytes:
        return _bytes(1, name) + _bytes(2, tensor)

    node = _bytes(1, b"x") + _bytes(1, b"x") + _bytes(2, b"y") + _bytes(4, b"MatMul")
    graph = _bytes(1, node) + _bytes(2, b"load") + _bytes(11, value(b"x")) + _bytes(12, value(b"y"))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))


def main() -> None:
    if sys.argv[1] == "hog":
        print("ready", flush=True)
        value = 0
        while True:
            value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(matmul_model(SIZE), options, providers=["CPUExecutionProvider"])
    x = np.full((SIZE, SIZE), 0.001, np.float32)
    (y,) = session.run(None, {"x": x})
    assert abs(float(y[0, 0]) - SIZE * 1e-6) < 1e-9
    print("ready", flush=True)
    while True:
        session.run(None, {"x": x})


if __name__ == "__main__":
    main()
