"""Machine code on disk: found again, not trusted when damaged or when others could have written it, bounded."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from skep import codecache
from skep.codecache import CodeCache
from skep.engines import Binding
from skep.engines.jit import Jit, engine, native, slow_paths
from skep.lang import function, u32
from skep.machine import Machine
from skep.memory import AddressSpace
from skep.objects import MapSpec, MapType, ProgramSpec
from skep.objects import open as open_object
from skep.stdlib import registry
from tests.engines.jit.compiled import raw

PROGRAM = "r0 = r2\nr0 *= 3\nexit"


@pytest.fixture
def cache(tmp_path: Path) -> CodeCache:
    return CodeCache(tmp_path / "skep")


@function()
def four() -> u32:
    return u32(4)


@function()
def five() -> u32:
    return u32(5)


def run(spec: ProgramSpec, cache: CodeCache | None, level: int | None = None) -> int:
    with AddressSpace() as space:
        loaded = Jit(cache=cache, level=level).load(spec, Binding(space))
        result = loaded.run(0, 14, 0)
        loaded.close()
        return result


def entries(cache: CodeCache) -> list[Path]:
    return sorted(cache.directory.iterdir())


def refuse(text: str, level: int) -> bytes:
    raise AssertionError("nothing is to be compiled here")


def test_code_is_found_again_without_translation(cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(raw(PROGRAM), cache) == 42
    monkeypatch.setattr(native, "machine_code", refuse)
    monkeypatch.setattr(engine, "ModuleTranslation", refuse)
    assert run(raw(PROGRAM), cache) == 42


def test_everything_the_code_depends_on_is_in_the_key(cache: CodeCache) -> None:
    frozen = MapSpec(".rodata", MapType.ARRAY, 4, 4, 1, contents=bytes(4), frozen=True)
    assert run(raw(PROGRAM), cache) == 42
    assert run(raw(PROGRAM), cache, level=0) == 42
    assert run(raw("r0 = r2\nr0 *= 4\nexit"), cache) == 56
    assert len(entries(cache)) == 3
    assert engine._shape("x", frozen) != engine._shape("x", replace(frozen, contents=bytes(3) + b"x"))


UPDATES = Path(__file__).parents[3] / "examples" / "tail_call_parser.bpf.o"


def count_protocol(cache: CodeCache, name: str) -> None:
    """Load a program that updates a hash map, and run it."""
    with Machine(engines={"jit": Jit(cache=cache)}) as machine:
        program = machine.load(open_object(UPDATES)[name], verify=False)
        program.run(bytes(64))


def test_slow_paths_are_compiled_once_and_kept_apart(cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_paths, "_linked", {})
    sizes: list[int] = []
    compile = native.machine_code

    def counted(text: str, level: int) -> bytes:
        sizes.append(len(text))
        return compile(text, level)

    monkeypatch.setattr(native, "machine_code", counted)
    count_protocol(cache, "parse_tcp")
    # The slow path for this shape of maps, what all shapes share, and the program.
    assert len(sizes) == 3
    kept = [path.name for path in entries(cache)]
    assert sum(name.startswith("slow-") for name in kept) == 2
    count_protocol(cache, "parse_udp")
    assert len(sizes) == 4
    # Another process finds all of it.
    slow_paths._linked.clear()
    count_protocol(cache, "parse_udp")
    assert len(sizes) == 4


def test_a_program_whose_slow_path_is_gone_is_made_anew(cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_paths, "_linked", {})
    count_protocol(cache, "parse_tcp")
    before = [path.name for path in entries(cache)]
    for path in entries(cache):
        if path.name.startswith("slow-"):
            path.unlink()
    slow_paths._linked.clear()
    count_protocol(cache, "parse_tcp")
    assert [path.name for path in entries(cache)] == before


def test_helpers_of_a_user_are_not_kept(cache: CodeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.implemented()  # which loads the families, whose registrations have to outlive this test
    monkeypatch.setattr(registry, "_implementations", dict(registry._implementations))
    program = raw("call 7\nexit")
    registry.implements("bpf_get_prandom_u32")(four)
    assert run(program, cache) == 4
    registry.implements("bpf_get_prandom_u32")(five)
    assert run(program, cache) == 5
    assert not cache.directory.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "swapped"])
def test_damaged_entries_are_compiled_again(cache: CodeCache, damage: str) -> None:
    run(raw(PROGRAM), cache)
    (path,) = entries(cache)
    content = path.read_bytes()
    if damage == "swapped":
        # A whole entry, but another program's.
        run(raw("r0 = 1\nexit"), cache)
        (other,) = (one for one in entries(cache) if one != path)
        path.write_bytes(other.read_bytes())
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:middle], "flipped": flipped, "empty": b""}[damage])
    assert run(raw(PROGRAM), cache) == 42
    assert path.read_bytes() == content


def test_the_directory_is_private(cache: CodeCache) -> None:
    cache.put("key", b"data")
    assert stat.S_IMODE(os.stat(cache.directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(entries(cache)[0]).st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_directory_that_others_may_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    cache = CodeCache(tmp_path / "shared")
    cache.put("key", b"data")
    assert cache.get("key") is None
    assert entries(cache) == []


def test_a_link_is_not_followed_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    cache = CodeCache(tmp_path / "link")
    cache.put("key", b"data")
    assert cache.get("key") is None


def test_without_a_place_for_it_all_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert run(raw(PROGRAM), CodeCache(tmp_path / "file" / "skep")) == 42


def test_the_oldest_entries_go_when_there_are_too_many(tmp_path: Path) -> None:
    cache = CodeCache(tmp_path / "skep", limit=10_000)
    for number in range(130):
        cache.put(f"key{number}", bytes(1000))
        os.utime(cache.directory / f"key{number}.code", (number, number))
    assert sum(path.stat().st_size for path in entries(cache)) < 80_000
    assert cache.get("key0") is None
    assert cache.get("key129") == bytes(1000)


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def chosen(**variables: str) -> Path | None:
        for name in ("SKEP_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        codecache.default.cache_clear()
        found = codecache.default()
        return None if found is None else found.directory

    monkeypatch.setenv("HOME", str(tmp_path))
    assert chosen(SKEP_CACHE="off") is None
    assert chosen(SKEP_CACHE=str(tmp_path / "here")) == tmp_path / "here"
    assert chosen(XDG_CACHE_HOME=str(tmp_path / "xdg")) == tmp_path / "xdg" / "skep"
    assert chosen() == tmp_path / ".cache" / "skep"
    codecache.default.cache_clear()
