"""What can be plugged in: cameras and arms, each behind a small protocol.

    cameras/protocol.py    what a camera is            arms/protocol.py   what an arm is
    cameras/synthetic.py   a test pattern              arms/sink.py       an arm of numbers, without hardware
    cameras/factory.py     a camera by its driver
    cameras/watch.py       is it frozen?

No ROS. A driver's own library is imported in its own file only, when it is opened. Imports `messages`,
`robots`, `config`, `schema` and `errors`; `nodes` and `cli` import this room.
"""
