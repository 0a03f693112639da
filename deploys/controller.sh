#!/bin/sh
# Installs what this machine needs to build the lab and to run the tests: Debian packages that are
# missing, with every service start refused, and the Python environment from the lock file.
# Nothing else of the machine changes. Prints nothing when there is nothing to do.
set -eu

packages="ansible-core bind9 bind9-dnsutils bind9-utils busybox-static conntrack cpio debootstrap e2fsprogs genisoimage ipvsadm kmod
  git gpg gpgv grub-common grub-pc-bin iproute2 knot-dnssecutils ldnsutils musl-tools netplan.io nftables
  faketime openssh-client openssh-server openssl procps prometheus python3 python3-venv
  qemu-system-x86 qemu-utils systemd-container"

missing=""
for package in $packages; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
    missing="$missing $package"
done

if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "controller: root is needed to install:$missing" >&2
    exit 1
  fi
  echo "controller: installing$missing" >&2
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get -qq update >&2
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing >&2
  # Their programs are needed, not the services: none is to start at the next boot either.
  for service in bind9:named openssh-server:ssh prometheus:prometheus; do
    case "$missing " in
    *" ${service%:*} "*)
      [ ! -d /run/systemd/system ] || systemctl --quiet disable "${service#*:}.service" >&2
      ;;
    esac
  done
fi

if command -v uv >/dev/null 2>&1; then
  uv=uv
else
  uv=.cache/uv/bin/uv
  if [ ! -x "$uv" ]; then
    echo "controller: installing uv into .cache" >&2
    python3 -I -m venv .cache/uv
    .cache/uv/bin/pip --quiet install --no-deps --require-hashes --only-binary :all: \
      --requirement deploys/uv.txt
  fi
fi
[ -d .venv ] || echo "controller: making the Python environment" >&2
"$uv" sync --quiet --locked
