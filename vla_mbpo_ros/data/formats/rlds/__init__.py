"""RLDS data sets as TFDS writes them, read without TensorFlow; they are not written.

    features.json                                 what an episode is made of
    dataset_info.json                             how many there are (not needed)
    <name>-train.tfrecord-00000-of-00004          episodes, one tf.train.Example each

In an example every feature of the steps is one flat list over all steps: `steps/action` has T * A numbers,
`steps/observation/image` has T files.
"""
