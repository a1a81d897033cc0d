"""What may stand where a file is expected."""

import os

TRAPS = ["link", "hard link", "link to nothing", "link to itself", "pipe", "device", "folder"]


def set_trap(kind: str, path, victim) -> None:
    """Put something else where a file is expected."""
    match kind:
        case "link":
            path.symlink_to(victim)
        case "hard link":
            os.link(victim, path)
        case "link to nothing":
            path.symlink_to(victim.with_name("nothing"))
        case "link to itself":
            path.symlink_to(path)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
