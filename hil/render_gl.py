"""An OpenGL context without a screen: EGL, or OSMesa where EGL does not start."""

import os
from typing import Any, Literal

from runtime.errors import SinewError

Backend = Literal["egl", "osmesa"]


class RenderError(SinewError):
    """Images of the emulated cell cannot be made on this machine; the text says what to install."""


def open_context(backend: Backend, width_px: int, height_px: int) -> Any:
    """A current OpenGL context of at least this size.

    A process can try one backend only: PyOpenGL binds itself to the first.

    Raises:
        RenderError: the backend does not start here.
    """
    os.environ["PYOPENGL_PLATFORM"] = backend
    try:
        if backend == "egl":
            from mujoco.egl import GLContext
        else:
            from mujoco.osmesa import GLContext
        context = GLContext(width_px, height_px)
        context.make_current()
    except Exception as error:  # PyOpenGL raises ImportError, AttributeError, GLError, RuntimeError alike
        raise RenderError(
            f"the {backend} renderer does not start ({type(error).__name__}: {error}): install the Debian packages "
            "libegl1 libgles2 libgl1-mesa-dri (EGL) or libosmesa6 (OSMesa); './sinew' as root does"
        ) from error
    return context
