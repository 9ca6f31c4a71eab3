"""The argument of each bpf(2) command, as the kernel lays it out in ``union bpf_attr``.

Every structure is a member of that union from its first byte on. The kernel takes a structure that is longer than
the one it knows if what it does not know is zero, so the newest layout serves every kernel. Fields are unsigned
unless the kernel reads them as file descriptors; 64-bit fields lie on multiples of eight on every architecture,
hence the explicit ``padding``. Source: ``include/uapi/linux/bpf.h`` of Linux 6.18 and the BTF of a kernel of that
version.
"""

from __future__ import annotations

from ctypes import Structure, c_char, c_int32, c_uint8, c_uint32, c_uint64
from enum import IntEnum


class Command(IntEnum):
    """What bpf(2) is asked to do: its first argument."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    OBJ_PIN = 6
    OBJ_GET = 7
    PROG_TEST_RUN = 10
    PROG_GET_NEXT_ID = 11
    MAP_GET_NEXT_ID = 12
    PROG_GET_FD_BY_ID = 13
    MAP_GET_FD_BY_ID = 14
    OBJ_GET_INFO_BY_FD = 15
    BTF_LOAD = 18
    BTF_GET_FD_BY_ID = 19
    MAP_LOOKUP_AND_DELETE_ELEM = 21
    MAP_FREEZE = 22
    BTF_GET_NEXT_ID = 23
    MAP_LOOKUP_BATCH = 24
    MAP_LOOKUP_AND_DELETE_BATCH = 25
    MAP_UPDATE_BATCH = 26
    MAP_DELETE_BATCH = 27
    LINK_GET_FD_BY_ID = 30
    LINK_GET_NEXT_ID = 31
    PROG_BIND_MAP = 35


class MapCreate(Structure):
    """MAP_CREATE."""

    _fields_ = (
        ("map_type", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("inner_map_fd", c_uint32),
        ("numa_node", c_uint32),
        ("map_name", c_char * 16),
        ("map_ifindex", c_uint32),
        ("btf_fd", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("map_extra", c_uint64),
        ("value_type_btf_obj_fd", c_int32),
        ("map_token_fd", c_int32),
    )


class MapElement(Structure):
    """MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM, MAP_GET_NEXT_KEY (``value`` is the next key), MAP_FREEZE."""

    _fields_ = (
        ("map_fd", c_uint32),
        ("padding", c_uint32),
        ("key", c_uint64),
        ("value", c_uint64),
        ("flags", c_uint64),
    )


class MapBatch(Structure):
    """MAP_LOOKUP_BATCH and its kin; ``count`` goes in as room and comes out as elements done."""

    _fields_ = (
        ("in_batch", c_uint64),
        ("out_batch", c_uint64),
        ("keys", c_uint64),
        ("values", c_uint64),
        ("count", c_uint32),
        ("map_fd", c_uint32),
        ("elem_flags", c_uint64),
        ("flags", c_uint64),
    )


class ProgramLoad(Structure):
    """PROG_LOAD; ``log_true_size`` comes back as the size of the whole log, from Linux 6.4 on."""

    _fields_ = (
        ("prog_type", c_uint32),
        ("insn_cnt", c_uint32),
        ("insns", c_uint64),
        ("license", c_uint64),
        ("log_level", c_uint32),
        ("log_size", c_uint32),
        ("log_buf", c_uint64),
        ("kern_version", c_uint32),
        ("prog_flags", c_uint32),
        ("prog_name", c_char * 16),
        ("prog_ifindex", c_uint32),
        ("expected_attach_type", c_uint32),
        ("prog_btf_fd", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("func_info_cnt", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("line_info", c_uint64),
        ("line_info_cnt", c_uint32),
        ("attach_btf_id", c_uint32),
        ("attach_prog_fd", c_uint32),
        ("core_relo_cnt", c_uint32),
        ("fd_array", c_uint64),
        ("core_relos", c_uint64),
        ("core_relo_rec_size", c_uint32),
        ("log_true_size", c_uint32),
        ("prog_token_fd", c_int32),
        ("fd_array_cnt", c_uint32),
    )


class ObjectPath(Structure):
    """OBJ_PIN and OBJ_GET."""

    _fields_ = (("pathname", c_uint64), ("bpf_fd", c_uint32), ("file_flags", c_uint32))


class TestRun(Structure):
    """PROG_TEST_RUN."""

    __test__ = False  # the name begins with "Test", which pytest collects

    _fields_ = (
        ("prog_fd", c_uint32),
        ("retval", c_uint32),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("data_in", c_uint64),
        ("data_out", c_uint64),
        ("repeat", c_uint32),
        ("duration", c_uint32),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("ctx_in", c_uint64),
        ("ctx_out", c_uint64),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
        ("padding", c_uint32),
    )


class ObjectId(Structure):
    """PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID and their kin for maps, BTF and links."""

    _fields_ = (("id", c_uint32), ("next_id", c_uint32), ("open_flags", c_uint32))


class ObjectInfo(Structure):
    """OBJ_GET_INFO_BY_FD; ``info`` points to one of the ``…Info`` structures below."""

    _fields_ = (("bpf_fd", c_uint32), ("info_len", c_uint32), ("info", c_uint64))


class BtfLoad(Structure):
    """BTF_LOAD."""

    _fields_ = (
        ("btf", c_uint64),
        ("btf_log_buf", c_uint64),
        ("btf_size", c_uint32),
        ("btf_log_size", c_uint32),
        ("btf_log_level", c_uint32),
        ("btf_log_true_size", c_uint32),
    )


class ProgramBindMap(Structure):
    """PROG_BIND_MAP: the program keeps the map alive."""

    _fields_ = (("prog_fd", c_uint32), ("map_fd", c_uint32), ("flags", c_uint32))


class ProgramInfo(Structure):
    """What OBJ_GET_INFO_BY_FD tells of a program; pointers and counts go in as room for what is wanted."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", c_uint8 * 8),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", c_char * 16),
        ("ifindex", c_uint32),
        ("gpl_compatible", c_uint32),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("nr_jited_ksyms", c_uint32),
        ("nr_jited_func_lens", c_uint32),
        ("jited_ksyms", c_uint64),
        ("jited_func_lens", c_uint64),
        ("btf_id", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("nr_func_info", c_uint32),
        ("nr_line_info", c_uint32),
        ("line_info", c_uint64),
        ("jited_line_info", c_uint64),
        ("nr_jited_line_info", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("jited_line_info_rec_size", c_uint32),
        ("nr_prog_tags", c_uint32),
        ("prog_tags", c_uint64),
        ("run_time_ns", c_uint64),
        ("run_cnt", c_uint64),
        ("recursion_misses", c_uint64),
        ("verified_insns", c_uint32),
        ("attach_btf_obj_id", c_uint32),
        ("attach_btf_id", c_uint32),
        ("padding", c_uint32),
    )


class MapInfo(Structure):
    """What OBJ_GET_INFO_BY_FD tells of a map."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("name", c_char * 16),
        ("ifindex", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("btf_id", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_id", c_uint32),
        ("map_extra", c_uint64),
    )


class BtfInfo(Structure):
    """What OBJ_GET_INFO_BY_FD tells of a BTF."""

    _fields_ = (
        ("btf", c_uint64),
        ("btf_size", c_uint32),
        ("id", c_uint32),
        ("name", c_uint64),
        ("name_len", c_uint32),
        ("kernel_btf", c_uint32),
    )


class LinkInfo(Structure):
    """The head of what OBJ_GET_INFO_BY_FD tells of a link; the rest depends on its type."""

    _fields_ = (("type", c_uint32), ("id", c_uint32), ("prog_id", c_uint32), ("rest", c_uint32 * 13))
