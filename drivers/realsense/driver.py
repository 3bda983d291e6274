"""The camera driver: symptoms from librealsense into the state machine, its orders back, frames into the ring.

`step(now_ns, wall_offset_ns)` never waits for the camera: it polls, decides, acts. Opening is the one act that takes as
long as the device needs (librealsense holds the interpreter meanwhile), so it is ordered only for a device that was
just seen; stopping runs in a thread.
"""

import json
from collections.abc import Callable

import numpy as np
import pyrealsense2 as rs

from drivers.device import DeviceShell
from drivers.realsense.fitness import Refusal, find_device, unfit, wanted_streams
from drivers.realsense.frozen import FrozenPicture
from drivers.realsense.machine import CameraMachine, Order, Patience, Stream, Symptom
from drivers.realsense.numbers import FrameNumbers, Kind
from drivers.realsense.options import ColorOptions, Lock
from drivers.realsense.pipeline import Frameset, Session
from drivers.realsense.settle import Settings, Settle, Settled
from drivers.realsense.source import Source
from drivers.realsense.stamps import Domain, Stamp, StampClock
from drivers.realsense.teller import Teller
from runtime.cell import Camera
from runtime.ring import RingWriter, instance_dir
from runtime.rows import CAMERA_STATE, CameraPhase, FrameQuality, Severity, frame_dtype

STATE_SLOTS = 1024
STATE_EVERY_NS = 100_000_000
UNPOLLED_NS = 100_000_000  # after a longer gap between polls the waiting frame has an unknown age
CLOSE_WAIT_S = 0.1
POLL_EVERY_NS = 1_000_000
IDLE_NS = 20_000_000


class CameraDriver:
    """One camera of a cell, live, recorded or emulated alike.

    Args:
        shell: heartbeat, events and requests of `camera.NAME`.
        name, camera: from the cell file.
        source: where the device comes from.
        now_ns: monotonic time [ns].
        say: takes every event's sentence as well (the process prints it).
    """

    def __init__(
        self,
        shell: DeviceShell,
        name: str,
        camera: Camera,
        source: Source,
        now_ns: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._shell, self._name, self._camera, self._source = shell, name, camera, source
        self._tell = Teller(shell, name, camera.serial, source.remedy, say)
        self._period_ns = round(1e9 / camera.image.fps)
        self._machine = CameraMachine(Patience(stall_ns=round(camera.stall_periods * self._period_ns)), now_ns)
        self._streams = wanted_streams(camera)
        self._has_depth, self._has_infrared = camera.depth != "off", camera.infrared
        self._align: rs.align | None = None
        dtype = frame_dtype(
            camera.image.width_px, camera.image.height_px, depth=self._has_depth, infrared=self._has_infrared
        )
        self._frames = RingWriter(shell.instance, f"camera.{name}.frame", dtype, camera.slots)
        self._state = RingWriter(shell.instance, f"camera.{name}.state", CAMERA_STATE, STATE_SLOTS)
        self._identity_path = instance_dir(shell.instance) / f"camera.{name}.identity.json"
        self._session: Session | None = None
        self._sessions = 0
        self._symptoms: list[Symptom] = []
        self._device: rs.device | None = None
        self._refusal: Refusal | None = None
        self._last_failure = ""
        self._last_poll_ns = self._last_state_ns = now_ns
        self._last_receive_ns = 0
        self._more_ns = 0  # of the last poll that gave a frame: another may be waiting
        self._out_of_order_before = False
        self._new_session(now_ns)

    @property
    def phase(self) -> CameraPhase:
        return self._machine.phase

    @property
    def closing(self) -> bool:
        """The pipeline's stop is still running in its thread."""
        return self._session is not None and self._session.closing and not self._session.close(0.0)

    def due_ns(self, now_ns: int) -> int:
        """When to call `step` again: rarely while the next frame cannot be there yet, often when it may be."""
        if self._session is None:
            return now_ns + IDLE_NS
        if self._more_ns == self._last_poll_ns:
            return now_ns
        return max(now_ns + POLL_EVERY_NS, min(self._last_receive_ns + self._period_ns * 3 // 4, now_ns + IDLE_NS))

    def step(self, now_ns: int, wall_offset_ns: int) -> None:
        """One turn at monotonic `now_ns`; `wall_offset_ns` is wall minus monotonic time now (stamps are wall time)."""
        symptoms, self._symptoms = self._symptoms, []
        symptoms += self._poll(now_ns, wall_offset_ns)
        order, changes = self._machine.step(now_ns, symptoms, self._stream())
        for change in changes:
            self._tell.changed(now_ns, change, now_ns - self._last_receive_ns, self._machine.patience.stall_ns)
            if change.after is CameraPhase.STREAMING:
                self._last_failure = ""
        self._obey(now_ns, order)
        if changes or now_ns - self._last_state_ns >= STATE_EVERY_NS:
            self.publish_state(now_ns)

    def close(self, now_ns: int) -> None:
        """Stop the stream and take the rings away."""
        if self._session is not None and not self._session.close(2.0):
            self._tell.event(now_ns, Severity.ERROR, "stop_hangs", "librealsense does not stop: leaving it behind")
        self._identity_path.unlink(missing_ok=True)
        self._frames.close()
        self._state.close()

    # --- orders ---------------------------------------------------------------------------------------------------

    def _stream(self) -> Stream:
        if self._session is None:
            return Stream.CLOSED
        if not self._session.closing:
            return Stream.OPEN
        if self.closing:
            return Stream.CLOSING
        self._session = None
        return Stream.CLOSED

    def _obey(self, now_ns: int, order: Order) -> None:
        try:
            if order is Order.LOOK:
                self._look(now_ns)
            elif order is Order.OPEN:
                self._open(now_ns)
            elif order is Order.CLOSE and self._session is not None:
                if self._session.close(CLOSE_WAIT_S):
                    self._session = None
            elif order is Order.RESET:
                if self._device is None:
                    raise RuntimeError("no device to reset")
                device, self._device = self._device, None
                self._source.reset(device)
        except RuntimeError as error:  # librealsense's only exception
            self._failed(now_ns, order.name.lower(), error)

    def _look(self, now_ns: int) -> None:
        found = find_device(self._source, self._name, self._camera)
        # A streaming device is only asked whether it is still there: its profiles were checked before the start.
        if not isinstance(found, Refusal) and self._machine.phase is not CameraPhase.STALLED:
            found = unfit(found, self._name, self._camera) or found
        if isinstance(found, Refusal):
            if found != self._refusal:
                self._tell.event(now_ns, Severity.ERROR, found.code, found.text)
            self._refusal = found
            self._symptoms.append(Symptom.GONE)
        else:
            self._device, self._refusal = found, None
            self._symptoms.append(Symptom.FIT)

    def _open(self, now_ns: int) -> None:
        if self._device is None:
            raise RuntimeError("no device to open")
        self._options = ColorOptions(self._device)
        self._options.begin(self._camera.exposure_us)
        self._new_session(now_ns)
        self._session = Session(self._source, self._device, self._streams)
        self._sessions += 1
        # Aligning holds the interpreter for 11 ms a frame: this process has nothing else to do.
        needs_align = self._camera.depth == "aligned" and not self._session.depth_is_aligned()
        self._align = rs.align(rs.stream.color) if needs_align else None
        self._depth_scale_m = self._session.depth_scale_m() if self._has_depth else 0.0
        self._write_identity()

    def _new_session(self, now_ns: int) -> None:
        """Forget what belongs to one stream: numbers and stamps of another session say nothing about this one."""
        self._numbers = FrameNumbers()
        self._stamps = StampClock(self._period_ns, round(self._camera.latency_ms * 1e6))
        self._frozen = FrozenPicture()
        self._settle: Settle | None = None
        self._settings = Settings(0.0, 0.0, 0.0)
        self._lock: Lock | None = None
        self._tell.new_session()
        self._out_of_order_before = False
        self._last_poll_ns = now_ns

    def _failed(self, now_ns: int, doing: str, error: RuntimeError) -> None:
        text = f"camera '{self._name}': {doing}: {error}: {self._source.remedy}"
        if text != self._last_failure:  # a device that cannot be looked at fails once a second
            self._tell.event(now_ns, Severity.ERROR, f"{doing}_failed", text)
        self._last_failure = text
        self._symptoms.append(Symptom.FAILED)

    # --- frames ---------------------------------------------------------------------------------------------------

    def _poll(self, now_ns: int, wall_offset_ns: int) -> list[Symptom]:
        waited_ns, self._last_poll_ns = now_ns - self._last_poll_ns, now_ns
        if self._session is None or self._session.closing:
            return []
        symptoms: list[Symptom] = []
        try:
            while (frameset := self._session.poll()) is not None:
                if waited_ns > UNPOLLED_NS and self.phase in (CameraPhase.WARMUP, CameraPhase.STREAMING):
                    # It lay in the queue for an unknown part of the gap: not served. Its number is then a gap.
                    waited_ns = 0
                    continue
                symptoms += self._judge(now_ns, wall_offset_ns, frameset)
                if Symptom.FRAME in symptoms:  # one new frame per step: it may have changed the phase
                    self._more_ns = now_ns
                    break
        except RuntimeError as error:
            self._failed(now_ns, "read", error)
            symptoms += self._symptoms
            self._symptoms = []
        return symptoms

    def _judge(self, now_ns: int, wall_offset_ns: int, frameset: Frameset) -> list[Symptom]:
        depth, state = frameset.depth, self._state.row
        verdict = self._numbers.judge(frameset.color.number, depth.number if depth else None)
        if verdict.kind is Kind.DUPLICATE:
            state["duplicates"] += 1
        elif verdict.kind is Kind.OUT_OF_ORDER:
            state["out_of_order"] += 1
            self._out_of_order_before = True
        if verdict.kind is not Kind.NEW:
            return []
        color = frameset.color
        stamp = self._stamps.stamp(
            color.number, Domain(color.domain), round(color.stamp_ms * 1e6), now_ns, wall_offset_ns
        )
        self._last_receive_ns = now_ns
        self._tell.doubt(now_ns, stamp, self._stamps.median_latency_ns)
        settings = self._options.of_frame(color.frame)
        if self.phase in (CameraPhase.STARTING, CameraPhase.WARMUP) or not self._machine.locked:
            return [Symptom.FRAME, *self._warm_up(now_ns, settings)]
        state["gaps"] += verdict.missing
        quality = FrameQuality.GOOD
        if stamp.doubt is not None:
            quality |= FrameQuality.STAMP_FALLBACK
            state["stamp_fallbacks"] += 1
        if stamp.relearned or (stamp.doubt is not None and stamp.doubt.is_jump):
            quality |= FrameQuality.STAMP_JUMP
        if verdict.missing:
            quality |= FrameQuality.GAP_BEFORE
        if self._out_of_order_before:
            quality |= FrameQuality.OUT_OF_ORDER
            self._out_of_order_before = False
        if self._frozen.add(color.data):
            quality |= FrameQuality.FROZEN
            state["frozen"] += 1
        self._tell.frozen(now_ns, bool(quality & FrameQuality.FROZEN))
        # Depth that is old or of another instant is no depth: zeros, as the camera itself writes where it sees none.
        belongs = (
            depth is not None
            and verdict.depth_new
            and abs(depth.stamp_ms - color.stamp_ms) * 1e6 < 0.75 * self._period_ns
        )
        self._serve(now_ns, frameset, stamp, settings, quality, with_depth=belongs)
        return [Symptom.FRAME]

    def _warm_up(self, now_ns: int, settings: Settings) -> list[Symptom]:
        """Frames of the warm-up are not served: their exposure still moves."""
        if self._settle is None:
            self._settle = Settle(now_ns, round(self._camera.warmup_s * 1e9))
        settled = self._settle.add(now_ns, settings)
        if settled is Settled.NOT_YET:
            return []
        name = f"camera '{self._name}'"
        if settled is Settled.GAVE_UP:
            self._tell.event(
                now_ns, Severity.WARNING, "not_settled",
                f"{name}: exposure still moves after the warm-up ({settings}): locked as it is; check for flicker",
            )  # fmt: skip
        try:
            self._lock = self._options.lock(settings, self._camera.exposure_us)
        except RuntimeError as error:
            self._failed(now_ns, "lock", error)
            return []
        if self._lock.trouble:
            self._tell.event(
                now_ns, Severity.WARNING, "not_locked", f"{name}: options are not locked: {self._lock.trouble}"
            )
        self._settings = self._lock.settings
        self._write_identity()
        return [Symptom.SETTLED]

    def _serve(
        self,
        now_ns: int,
        frameset: Frameset,
        stamp: Stamp,
        settings: Settings,
        quality: FrameQuality,
        *,
        with_depth: bool,
    ) -> None:
        """Write one row in place. The ring's stamp is the capture time: a reader's age limit is age of capture."""
        depth_data = None
        if self._has_depth and with_depth and frameset.depth is not None:
            depth_data = frameset.depth.data
            if self._align is not None:
                aligned = self._align.process(frameset.composite)
                depth_data = np.asanyarray(aligned.get_depth_frame().get_data())
        elif self._has_depth:
            quality |= FrameQuality.NO_DEPTH
        infrared = frameset.infrared
        if self._has_infrared and (
            infrared is None or abs(infrared.stamp_ms - frameset.color.stamp_ms) * 1e6 >= 0.75 * self._period_ns
        ):
            quality |= FrameQuality.NO_INFRARED
        with self._frames.writing(stamp.capture_ns) as row:
            row["capture_ns"], row["receive_ns"] = stamp.capture_ns, now_ns
            row["color_number"] = frameset.color.number
            row["depth_number"] = frameset.depth.number if depth_data is not None and frameset.depth else 0
            row["session"], row["quality"], row["stamp_domain"] = self._sessions, int(quality), frameset.color.domain
            row["exposure_us"], row["gain"] = settings.exposure_us, settings.gain
            row["white_balance_k"], row["depth_scale_m"] = settings.white_balance_k, self._depth_scale_m
            row["color"] = frameset.color.data
            if self._has_depth:
                row["depth"] = 0 if depth_data is None else depth_data
            if self._has_infrared:
                row["infrared"] = 0 if quality & FrameQuality.NO_INFRARED or infrared is None else infrared.data
        self._settings = settings
        state = self._state.row
        state["frames"] += 1
        state["last_capture_ns"], state["last_receive_ns"] = stamp.capture_ns, now_ns
        state["median_latency_ns"] = self._stamps.median_latency_ns

    # --- telling --------------------------------------------------------------------------------------------------

    def publish_state(self, now_ns: int) -> None:
        """Write a `CAMERA_STATE` row now; `step` does so ten times a second and at every change."""
        row, machine = self._state.row, self._machine
        row["phase"], row["session"] = machine.phase, self._sessions
        row["stalls"], row["restarts"], row["resets"] = machine.stalls, machine.restarts, machine.resets
        row["exposure_us"], row["gain"] = self._settings.exposure_us, self._settings.gain
        row["white_balance_k"] = self._settings.white_balance_k
        row["options_locked"] = self._lock is not None and self._lock.locked
        self._state.commit(now_ns)
        self._last_state_ns = now_ns

    def _write_identity(self) -> None:
        """What calibration and recordings bind to, for other processes to read."""
        assert self._session is not None
        identity = {**self._session.identity(), "session": self._sessions, "options": self._options.snapshot()}
        temporary = self._identity_path.with_suffix(".new")
        temporary.write_text(json.dumps(identity, indent=1))
        temporary.replace(self._identity_path)
