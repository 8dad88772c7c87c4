"""A small page for a browser: what the cameras see, and what the world model imagines. Standard library only.

    browser ──GET, POST──> page.py ──> guard.py ──> routes.py ──> PageSource (source.py), which the node implements
                           sockets     who may      what is there    <──arrays, state── pictures.py makes JPEGs

    asking.py    what a browser may ask for, checked
    answer.py    what goes back; `Refused`, an answer that says no
    static/      the page itself: HTML, CSS and JavaScript as they are, no build, nothing from another address

It moves no robot. Imports `evaluation`, which draws the mark into imagined pictures, `schema`, `config` and `errors`.
No ROS, no torch. `nodes` and what lies between may import this room.
"""
