"""The twin of the bimanual ARX X5.

Geometry of our own: boxes, capsules and cylinders near the real lengths.

    arm.xml        one arm, its joints named as the vendor's, without limits
    cell.xml       table, light and background
    texture.py     the wood of the table
    layout.py      where the arms and the head camera stand
    model.py       all of it together, with the limits of `robots/arx_x5.py`
    kinematics.py  forward and inverse kinematics of one arm, without the cell
"""
