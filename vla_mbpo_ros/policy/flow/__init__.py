"""Flow-matching policies: one wrapper around any network that says a velocity.

Lives here: `net.VelocityNet` (what a network must offer), `inputs` (observations to tensors), `normalisation`,
`noise` (Flow-Noise and Flow-SDE with exact likelihoods), `heads`, `config`, `policy.FlowPolicy`. Modules here import
torch: import them where a learned policy is made. No ROS.
"""
