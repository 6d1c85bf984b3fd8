"""Three events as TensorBoard's own writer makes them: fixtures/tensorboard.tfevents.

Needs `pip install tensorboard` (2.21.0 was used). `crates/kiln-train/src/tensorboard.rs` has to write the same bytes.
"""

import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

START = event_pb2.SessionLog.START


def main() -> None:
    values = [summary_pb2.Summary.Value(tag="loss/step", simple_value=0.625),
              summary_pb2.Summary.Value(tag="learning_rate", simple_value=0.0)]
    events = [
        event_pb2.Event(wall_time=1.5e9, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=1.5e9 + 0.25, step=3, session_log=event_pb2.SessionLog(status=START)),
        event_pb2.Event(wall_time=1.5e9 + 0.5, step=300, summary=summary_pb2.Summary(value=values)),
    ]
    path = pathlib.Path(__file__).parent / "fixtures" / "tensorboard.tfevents"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


if __name__ == "__main__":
    main()
