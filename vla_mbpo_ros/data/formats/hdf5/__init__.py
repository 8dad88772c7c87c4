"""HDF5 in the layout of robomimic, with the names of LIBERO: one file an instruction.

    data                  attributes: problem_info, env_args, macros_image_convention, num_demos, total
      demo_0              attribute: num_samples
        actions           (T, A) float64
        rewards, dones    (T,) uint8
        obs/joint_states  (T, …) float64     obs/gripper_states   (T, …) float64
        obs/head_rgb      (T, H, W, 3) uint8, one for each camera

What those layouts have no room for is beside it, where their readers do not look: times and stamps of the frames
(`vla_mbpo_ros/`), names of columns (attribute `names`) and the facts of the episode.
"""
