#!/bin/sh
# What the Makefile's targets `install` and `lock` do:
#
#   sh environment.sh install VENV TORCH PYTHON EXTRAS   make the virtual environment and install the locked packages
#   sh environment.sh lock PYTHON [OPTION...]            write requirements.lock and the locks of the heavy extras
#
# Plain sh, so that a missing interpreter or venv module is named instead of failing in Python.
set -eu
cd "$(dirname "$0")"

uv_version=0.13.9

fail() {
    echo "$1" >&2
    exit 2
}

# --- heavy extras ---

# The extras that are installed only where EXTRAS names them: those of pyproject.toml with a lock of their own,
# requirements-NAME.lock. It holds what the extra needs beside requirements.lock, where all other extras are. To make an
# extra a heavy one: touch requirements-NAME.lock, then make lock.
heavy_extras() {
    for file in requirements-*.lock; do
        extra=${file#requirements-}
        [ ! -e "$file" ] || echo "${extra%.lock}"
    done
}

# --- the interpreter ---

# Sets $python to the first of the wanted interpreters that is 3.11 to 3.13 and can make virtual environments.
find_python() {
    wanted=$1
    if [ "$wanted" = auto ]; then candidates="python3 python3.13 python3.12 python3.11"; else candidates=$wanted; fi
    for python in $candidates; do
        "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && break
        python=
    done
    [ -n "$python" ] ||
        fail "no Python 3.11, 3.12 or 3.13 found (PYTHON=$wanted); on Debian: apt-get install python3 python3-venv"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments; on Debian: apt-get install python3-venv"
}

# --- steps, and signs of life ---

now() { date +%s; }

step() {
    number=$((number + 1))
    step_started=$(now)
    echo "[$number/5] $1"
}

in_log() { grep -cE "$1" "$log" || :; }

how_far() {
    if [ "$number" = 2 ]; then
        fetched=$(in_log '^(Collecting|Processing|Requirement already satisfied)')
        needed=$((locked - $(in_log '^Ignoring')))
        installed=$(find "$venv"/lib/*/site-packages -maxdepth 1 -name '*.dist-info' | wc -l)
        echo "$fetched of $needed packages fetched, $installed in the environment"
    else
        tail -n 1 "$log" | cut -c -80
    fi
}

# A line every ten seconds. Ends with this script even when that is killed; `sleep` does not hold the output open, because
# a reader of a pipe would wait for it.
show_life() {
    trap '' INT
    while sleep 10 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        echo "      $(($(now) - step_started)) s: $(how_far)"
    done
}

stop_life() {
    [ -z "$life" ] || kill "$life" 2>/dev/null || :
    [ -z "$life" ] || wait "$life" 2>/dev/null || :
    life=
}

at_exit() {
    status=$?
    stop_life
    [ "$status" = 0 ] || [ "$number" = 0 ] ||
        echo "step [$number/5] did not finish; make install takes it up again (pip's own lines: $log)" >&2
}

# pip runs in the foreground, where Ctrl-C reaches it. Its warnings and errors are shown, its other lines kept.
with_life() {
    : >"$log"
    show_life &
    life=$!
    "$@" >>"$log"
    stop_life
}

# --- installing ---

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

pip_install() { pip install --progress-bar off "$@"; }

# `venv` installs pip and then writes the activate scripts.
venv_is_whole() { [ -e "$venv/bin/activate" ] && pip --version >/dev/null 2>&1; }

# A package that pip was installing when it was stopped has its metadata and may lack its commands, and pip would take it
# for installed. Once it is, its RECORD lists the file INSTALLER, which is in no wheel.
forget_unfinished() {
    for metadata in "$venv"/lib/*/site-packages/*.dist-info; do
        grep -qs '\.dist-info/INSTALLER,' "$metadata/RECORD" || rm -rf "$metadata"
    done
}

# The user's own index or wheel folder may have the build; else PyTorch's own index. torch's dependencies are in the lock.
install_torch_cpu() {
    errors=$(pip_install --no-deps "torch==$torch_version+cpu" 2>&1 >>"$log") || case $errors in
        *"No matching distribution"* | *ResolutionImpossible*)
            pip_install --no-deps "torch==$torch_version+cpu" --index-url https://download.pytorch.org/whl/cpu
            ;;
        *)
            echo "$errors" >&2
            return 1
            ;;
    esac
}

# PyPI's build, which brings NVIDIA's packages.
install_torch_cuda() { pip_install "torch==$torch_version,!=$torch_version+cpu"; }

# $venv/.made says what the environment was made for: build of torch (+ heavy extras), interpreter, place. An environment
# cannot be moved (its scripts and the editable install hold its path), so a copied checkout makes its own. Heavy extras
# can be added to an environment that has none; to be without some, it is made from the start.
#
# $venv/.installed is removed before the first change and written last: an interrupted install is not taken for a whole
# one. .made stays while the rest is removed: an environment that is half removed is still known as made here.
install() {
    venv=${1%/} torch=$2 interpreter=$3 extras=$4
    log=$venv/install.log life='' number=0
    without_extras="$torch $interpreter $(pwd -P)"
    made_for="$torch${extras:++$extras} $interpreter $(pwd -P)"
    torch_version=$(sed -n 's/^torch==//p' constraints.txt)
    locked=$(grep -c '^[a-z0-9]' requirements.lock)

    case $torch in cpu) size="about 200 MB" ;; cuda) size="several GB" ;; *) fail "TORCH is cpu or cuda, not $torch" ;; esac
    [ -n "$torch_version" ] || fail "constraints.txt names no torch version"
    if [ -e "$venv" ] && [ ! -e "$venv/.made" ]; then
        fail "$venv was not made by this Makefile: remove it, or name another folder with VENV=..."
    fi
    case $extras in *[[:space:]]*) fail "EXTRAS takes no spaces: EXTRAS=one,other" ;; esac
    set -- -r requirements.lock
    for extra in $(echo "$extras" | tr , ' '); do
        if [ ! -e "requirements-$extra.lock" ]; then
            known=$(heavy_extras | tr '\n' ' ')
            fail "EXTRAS: $extra is none of the extras to choose from: ${known:-none }(others are always installed)"
        fi
        set -- "$@" -r "requirements-$extra.lock"
        locked=$((locked + $(grep -c '^[a-z0-9]' "requirements-$extra.lock" || :)))
    done

    trap at_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP

    made=$(cat "$venv/.made" 2>/dev/null || :)
    if { [ "$made" = "$made_for" ] || [ "$made" = "$without_extras" ]; } && venv_is_whole; then
        step "keeping $venv with $("$venv/bin/python" --version), for the $torch build of torch"
        rm -f "$venv/.installed"
        echo "$made_for" >"$venv/.made"
        forget_unfinished
        duration=""
    else
        find_python "$interpreter"
        step "making $venv with $("$python" --version), for the $torch build of torch"
        rm -f "$venv/.installed"
        if [ -L "$venv" ]; then rm "$venv"; fi # the link alone: what it leads to may be another checkout's
        if [ -e "$venv" ]; then find "$venv" -mindepth 1 -maxdepth 1 ! -name .made -exec rm -rf {} +; fi
        mkdir -p "$venv"
        echo "$made_for" >"$venv/.made"
        "$python" -m venv "$venv"
        duration=" (1 to 3 minutes)"
    fi
    step "installing the locked packages${extras:+, with those of $extras}$duration"
    with_life pip_install --no-deps --require-hashes "$@"
    step "installing torch $torch_version, $torch build ($size)"
    with_life "install_torch_$torch"
    step "installing rnnlab itself, as this checkout"
    with_life pip_install --no-deps --no-build-isolation -e .
    step "checking that the packages fit together"
    pip check
    touch "$venv/.installed"
}

# --- locking ---

# Writes a lock, the options after its name being uv's. Versions already in it stay where they still fit; --upgrade takes
# the newest of all, and `--upgrade-package mlflow` of one. torch and its CUDA packages take part in the resolution and
# are then left out; so is what requirements.lock has, of another lock.
resolve() {
    file=$1 beside=requirements.lock
    shift
    if [ "$file" = requirements.lock ]; then beside=/dev/null; fi
    cp "$file" .requirements.part 2>/dev/null || :
    .venv-lock/bin/uv pip compile pyproject.toml -c constraints.txt -o .requirements.part -q \
        --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --annotation-style line \
        --custom-compile-command "make lock" "$@"
    awk '
        held { there[$0]; next }
        /^[a-z0-9]/ { drop = $0 in there || /^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/ }
        !drop
    ' held=1 "$beside" held= .requirements.part >.requirements.checked.part
    if grep -nE '://|^ *-[a-z-]*(index|find-links)|^[a-z0-9][^=]* @ ' .requirements.checked.part; then
        fail "the lines above name an address, which $file does not hold"
    fi
    mv .requirements.checked.part "$file"
    rm -f .requirements.part
}

# Each lock is held to the versions of those before it, so that any of the heavy extras can be installed together.
lock() {
    find_python "$1"
    shift
    [ -e .venv-lock/bin/python ] || "$python" -m venv .venv-lock
    .venv-lock/bin/python -m pip install -q --disable-pip-version-check "uv==$uv_version"
    heavy=$(heavy_extras)
    # shellcheck disable=SC2086 # an argument for each name
    others=$("$python" -c 'if True:
        import sys, tomllib
        with open("pyproject.toml", "rb") as file:
            extras = tomllib.load(file)["project"].get("optional-dependencies", {})
        for name in sys.argv[1:]:
            if name not in extras:
                sys.exit(f"requirements-{name}.lock: pyproject.toml has no extra of that name")
        print(*(f"--extra={name}" for name in extras if name not in sys.argv[1:]))
    ' $heavy)
    # shellcheck disable=SC2086 # likewise
    resolve requirements.lock $others "$@"
    set -- "$@" -c requirements.lock
    for extra in $heavy; do
        # shellcheck disable=SC2086 # likewise
        resolve "requirements-$extra.lock" $others "--extra=$extra" "$@"
        set -- "$@" -c "requirements-$extra.lock"
    done
}

case ${1-} in
    install | lock) "$@" ;;
    *) fail "environment.sh install VENV TORCH PYTHON EXTRAS, or environment.sh lock PYTHON [OPTION...]" ;;
esac
