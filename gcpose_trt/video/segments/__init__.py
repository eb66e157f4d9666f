"""Videos in parts: cut at key frames, each part read on its own, together what reading in one go gives.

A part is a window [start, end) of presentation time stamps, in the stream's time base, whose start is a key frame's.
The frames of a part are those that lie in its window, so no frame is in two parts and none in no part:

- its reader enters the stream at the key frame `start`. After the key frame of an open GOP come, in the order of
  decoding, frames that are shown before it and refer to the GOP before ("leading"). They lie before the window; whether
  the decoder, which lacks what they refer to, leaves them out or guesses at them, they are dropped;
- it does not stop where the next part's key frame is read, but where a frame is shown that lies after the window: so
  it, which has all that they refer to, is the one that decodes the leading frames of the next GOP.

`clip` opens and enters, `cutting` finds the key frames to cut at, `reading` decodes a window.
"""

from gcpose_trt.video.segments.clip import Clip
from gcpose_trt.video.segments.cutting import find_cuts
from gcpose_trt.video.segments.reading import Notes, read_window

__all__ = ["Clip", "Notes", "find_cuts", "read_window"]
