"""A guest of one sector that finds out whether kvm runs guests, or only says that it would.

/dev/kvm can be there, and libvirt list it, on machines where a stock kernel never gets through its
own decompression: nested ones that emulate every instruction. The guest enters long mode, counts
to 100 million and ends qemu through its debug exit. A CPU does that in a tenth of a second, qemu's
own translation in a third, and an emulator of instructions not within minutes.
"""

import base64
from typing import Final

EXIT_STATUS: Final = 33
"""What qemu ends with when the guest has written 0x10 to its debug exit: 2 * 0x10 + 1."""

_CODE: Final = bytes.fromhex(
    # 16 bit: no interrupts, flat segments; three empty page tables from 0x1000 on
    "fa 31c0 8ed8 8ec0 bc0070 8ed0 66bf00100000 0f22df 6631c0 66b9000c0000 6766f3ab"
    # each table leads to the next, and the last maps the first 2 MiB to themselves
    "66c706001003200000 66c706002003300000 66c706003083000000"
    # CR4.PAE, EFER.LME, CR0.PG and PE; then to 64 bit through the table below
    "0f20e0 6683c820 0f22e0 66b9800000c0 0f32 660d00010000 0f30"
    "0f20c0 660d01000080 0f22c0 0f0116a07c ea6d7c0800"
    # 64 bit: mov ecx, 100000000; dec ecx; jnz; out 0xf4, 0x10; hlt
    "b810000000 8ed8 8ec0 8ed0 b900e1f505 ffc9 75fc b010 e6f4 f4 6690"
    # descriptors: none, code, data; and where they are, for lgdt
    "0000000000000000 00000000009a2000 0000000000920000 1700 887c0000"
)

SECTOR: Final = _CODE.ljust(510, b"\0") + b"\x55\xaa"


def guest_command(accelerator: str, file: str) -> str:
    """Return the command that runs the sector in *file*, at most ten seconds long."""
    return (
        f"timeout 10 qemu-system-x86_64 -accel {accelerator} -machine pc -m 32 -nodefaults"
        f" -no-user-config -display none -no-reboot -drive file={file},format=raw,if=ide,snapshot=on"
        " -device isa-debug-exit,iobase=0xf4,iosize=4 >/dev/null 2>&1 </dev/null"
    )


def probe_script(record: str) -> str:
    """Return shell code that prints "kvm" or "qemu", and keeps the answer in the file *record*."""
    sector = base64.b64encode(SECTOR).decode()
    return (
        f"cat {record} 2>/dev/null || {{ kind=qemu; "
        "if command -v qemu-system-x86_64 >/dev/null; then if test -e /dev/kvm; then "
        f"guest=$(mktemp) && echo {sector} | base64 -d > $guest && "
        f"{{ {guest_command('kvm', '$guest')}; test $? = {EXIT_STATUS} && kind=kvm; rm -f $guest; }}; "
        f"fi; echo $kind > {record}; fi; echo $kind; }}"
    )
