"""The ROS 2 graph of viper_ros. rclpy lives here and nowhere else."""

import pkgutil

# The generated viper_ros.msg lies in the install tree; this finds it also when Python starts in the source tree.
__path__ = pkgutil.extend_path(__path__, __name__)
