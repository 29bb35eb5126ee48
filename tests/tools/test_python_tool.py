"""Claims about `tools/python`. Nothing here builds Python or goes to the network.

PATH, pyenv and the cache are folders of the test, and interpreters are shell scripts that answer
the probe's question.
"""

import hashlib
import io
import sys
import sysconfig
import tarfile
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import SourceFileLoader
from pathlib import Path
from threading import Event
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "python"
SECONDS = 10


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool as a module, on a machine where nothing is installed."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader, module = SourceFileLoader("tools_python", str(TOOL)), ModuleType("tools_python")
    module.__file__ = str(TOOL)
    loader.exec_module(module)
    return module


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def interpreter(path: Path, version: str) -> Path:
    """Make an executable that answers the probe as an interpreter of `version` would."""
    return script(path, f"echo {version}", 'echo "$0"')


def finished_build(tool: ModuleType, version: str) -> Path:
    prefix = tool.prefix(version)
    path = interpreter(prefix / "bin" / f"python{version}", version)
    (prefix / ".complete").touch()
    return path


def compiler_without(folder: Path, *headers: str) -> None:
    """Put a C compiler that lacks these headers, and a make, into `folder`."""
    cases = [f"*'<{header}>'*) exit 1;;" for header in headers]
    script(folder / "cc", "read -r line", 'case "$line" in', *cases, "esac")
    script(folder / "make")


def release_of(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, configure: str) -> None:
    """Put a tiny release of 3.13, its `configure` script given, into the cache and pin its sum."""
    buffer, version = io.BytesIO(), tool.RELEASES["3.13"].version
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(f"Python-{version}/configure")
        content = f"#!/bin/sh\n{configure}\n".encode()
        member.size, member.mode = len(content), 0o755
        tar.addfile(member, io.BytesIO(content))
    (tool.cache_folder() / f"Python-{version}.tar.xz").write_bytes(buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    monkeypatch.setitem(tool.RELEASES, "3.13", tool.Release(version, digest))


def installing_make(folder: Path, version: str) -> None:
    """Put a make that installs a fake interpreter, and a C compiler, into `folder`."""
    compiler_without(folder)
    script(
        folder / "make",
        '[ "$1" = install ] || exit 0',
        "read -r prefix < prefix",
        'bin="${2#DESTDIR=}$prefix/bin"',
        '/bin/mkdir -p "$bin"',
        f'printf \'#!/bin/sh\\necho {version}\\necho "$0"\\n\' > "$bin/python{version}"',
        f'/bin/chmod +x "$bin/python{version}"',
    )


def test_an_unknown_version_exits_with_2_and_one_line(
    tool: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    status = tool.main(["3.12"])

    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert output.err == (
        "tools/python: unknown version '3.12'; one of 3.13t, 3.14t, 3.13, 3.14, 3.15t, 3.15,"
        " 3.14td, 3.14t+tsan\n"
    )


@pytest.mark.parametrize("version", ["3.15t", "3.15"])
def test_a_version_without_a_pinned_release_is_found_and_not_built(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    compiler_without(tmp_path / "bin")

    assert tool.main([version]) == 1
    assert capsys.readouterr().err == (
        f"tools/python: no {version} is there or comes from uv, and no release of it is pinned to"
        " build\n"
    )

    path = interpreter(tmp_path / "bin" / f"python{version}", version)
    assert tool.main([version]) == 0
    assert capsys.readouterr().out == f"{path}\n"


def test_the_answer_is_all_that_goes_to_stdout(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path / "bin" / "python3.13", "exit 127")
    path = finished_build(tool, "3.13")

    status = tool.main(["3.13"])

    assert status == 0
    assert capsys.readouterr().out == f"{path}\n"


def test_the_running_interpreter_is_recognised_as_what_it_is(tool: ModuleType) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    debug = "d" if hasattr(sys, "gettotalrefcount") else ""
    same, other = (f"{minor}t{debug}", minor) if free else (minor + debug, f"{minor}t")

    found = tool.probe(Path(sys.executable), same)

    assert found == Path(sys._base_executable).resolve()
    assert tool.probe(Path(sys.executable), other) is None


@pytest.mark.parametrize(("wanted", "wrong"), [("3.13", "3.13t"), ("3.13t", "3.13")])
def test_a_candidate_of_the_wrong_gil_build_is_passed_over(
    tool: ModuleType, tmp_path: Path, wanted: str, wrong: str
) -> None:
    interpreter(tmp_path / "bin" / f"python{wanted}", wrong)
    right = interpreter(tmp_path / "pyenv/versions/3.13.9/bin" / f"python{wanted}", wanted)

    found = tool.find(wanted)

    assert found == right


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2; exit 127\n",
        "#!/bin/sh\necho 3.13\n",
        "#!/bin/sh\necho 3.13; echo /somewhere; exit 1\n",
        "#!/no/such/shell\n",
        "neither a script nor a binary\n",
        "",
    ],
)
def test_a_broken_executable_is_passed_over(tool: ModuleType, tmp_path: Path, text: str) -> None:
    broken = tmp_path / "bin" / "python3.13"
    broken.write_text(text)
    broken.chmod(0o755)
    working = interpreter(tmp_path / "pyenv/versions/3.13.0/bin/python3.13", "3.13")

    found = tool.find("3.13")

    assert found == working


def test_an_unfinished_install_is_not_taken(tool: ModuleType) -> None:
    path = finished_build(tool, "3.14t")
    marker = tool.prefix("3.14t") / ".complete"
    marker.unlink()

    unfinished = tool.find("3.14t")
    marker.touch()
    finished = tool.find("3.14t")

    assert unfinished is None
    assert finished == path


def test_a_wrong_checksum_deletes_the_file_and_names_both_sums(
    tool: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "Python-3.13.5.tar.xz"
    file.write_bytes(b"something else")
    expected, got = "0" * 64, hashlib.sha256(b"something else").hexdigest()

    with pytest.raises(tool.Failed) as caught:
        tool.check_sum(file, expected)

    assert not file.exists()
    assert all(text in str(caught.value) for text in (str(file), expected, got))


def test_a_source_with_a_wrong_checksum_gives_way_to_the_next(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, missing, good = tmp_path / "bad", tmp_path / "missing", tmp_path / "good"
    bad.write_bytes(b"bad")
    good.write_bytes(b"good")
    release = tool.Release("3.13.99", hashlib.sha256(b"good").hexdigest())
    monkeypatch.setattr(tool, "sources", lambda _: iter((bad, missing, good)))

    archive = tool.tarball(release)

    assert archive.read_bytes() == b"good"
    assert list(tool.cache_folder().iterdir()) == [archive]


def test_a_spoilt_tarball_in_the_cache_is_deleted_and_got_again(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, good = tool.cache_folder() / "Python-3.13.99.tar.xz", tmp_path / "good"
    cached.write_bytes(b"spoilt")
    good.write_bytes(b"good")
    release = tool.Release("3.13.99", hashlib.sha256(b"good").hexdigest())
    monkeypatch.setattr(tool, "sources", lambda _: iter((cached, good)))

    archive = tool.tarball(release)

    assert archive == cached
    assert archive.read_bytes() == b"good"


def test_no_source_left_gives_one_line_for_each(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, missing = tmp_path / "bad", tmp_path / "missing"
    bad.write_bytes(b"bad")
    monkeypatch.setattr(tool, "sources", lambda _: iter((bad, missing)))

    with pytest.raises(tool.Failed) as caught:
        tool.tarball(tool.Release("3.13.99", "0" * 64))

    first, *lines = str(caught.value).splitlines()
    assert "3.13.99" in first
    assert [line.strip().partition(":")[0] for line in lines] == [str(bad), str(missing)]
    assert bad.exists()
    assert list(tool.cache_folder().iterdir()) == []


def test_missing_headers_fail_with_the_packages_named(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler_without(tmp_path / "bin", "ffi.h", "openssl/ssl.h")

    status = tool.main(["3.14t"])

    error = capsys.readouterr().err
    assert status == 1
    assert "missing openssl/ssl.h, ffi.h" in error
    assert error.endswith("apt-get install libssl-dev libffi-dev\n")


def test_a_missing_compiler_fails_with_all_packages_named(
    tool: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    status = tool.main(["3.14t"])

    packages = capsys.readouterr().err.partition("apt-get install ")[2].split()
    assert status == 1
    assert packages[0] == "build-essential"
    assert {"zlib1g-dev", "libssl-dev", "libffi-dev"} < set(packages)


def test_a_missing_optional_header_is_only_a_warning(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler_without(tmp_path / "bin", "sqlite3.h")

    tool.check_machine()

    assert "building without sqlite3.h (Debian: libsqlite3-dev)" in capsys.readouterr().err


def test_a_build_is_published_whole(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_of(tool, monkeypatch, 'echo "${1#--prefix=}" > prefix')
    installing_make(tmp_path / "bin", "3.13t")

    built = tool.get("3.13t")

    assert built == tool.prefix("3.13t") / "bin" / "python3.13t"
    assert tool.find("3.13t") == built
    assert not (tool.cache_folder() / "build-3.13t").exists()


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("3.13td", "--disable-gil --with-pydebug"),
        ("3.13t+tsan", "--disable-gil --with-thread-sanitizer --disable-test-modules"),
    ],
)
def test_a_debug_build_and_one_with_a_sanitizer_are_configured_so_and_kept_apart(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, options: str
) -> None:
    release_of(tool, monkeypatch, 'echo "${1#--prefix=}" > prefix; shift; echo "with $*"')
    installing_make(tmp_path / "bin", tool.executable(version).removeprefix("python"))
    make = tmp_path / "bin" / "make"
    make.write_text(make.read_text().replace("echo 3.13t\\n", f"echo {version}\\n"))
    plain = finished_build(tool, "3.13t")

    built = tool.get(version)

    log = (tool.cache_folder() / f"build-{version}.log").read_text()
    assert f"\nwith {options}\n" in f"\n{log}"
    assert built == tool.prefix(version) / "bin" / tool.executable(version)
    assert tool.cached(version) == built
    assert tool.cached("3.13t") == plain != built


def test_uv_is_not_asked_for_a_debug_build(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path / "bin" / "uv", "echo asked >&2")

    assert tool.from_uv("3.14td") is None
    assert "uv" not in capsys.readouterr().err


def test_a_build_of_the_wrong_gil_build_is_not_published(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_of(tool, monkeypatch, 'echo "${1#--prefix=}" > prefix')
    installing_make(tmp_path / "bin", "3.13t")
    (tmp_path / "bin" / "make").write_text(
        (tmp_path / "bin" / "make").read_text().replace("echo 3.13t", "echo 3.13")
    )

    with pytest.raises(tool.Failed, match="does not work"):
        tool.get("3.13t")

    assert not tool.prefix("3.13t").exists()


def test_a_failed_build_shows_its_log_and_leaves_nothing_to_be_taken(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line-$i-; done; exit 3"
    release_of(tool, monkeypatch, counting)
    installing_make(tmp_path / "bin", "3.13t")

    with pytest.raises(tool.Failed) as caught:
        tool.get("3.13t")

    log = tool.cache_folder() / "build-3.13t.log"
    first, *tail = str(caught.value).splitlines()
    assert str(log) in first
    assert [line.strip() for line in tail] == [f"line-{i}-" for i in range(11, 31)]
    assert "line-1-" in log.read_text()
    assert tool.find("3.13t") is None


def test_two_runs_at_once_build_once(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    building, waiting, builds = Event(), Event(), []

    def build(version: str) -> Path:
        builds.append(version)
        building.set()
        assert waiting.wait(SECONDS), "the second run did not wait for the first"
        return finished_build(tool, version)

    def say(text: str) -> None:
        if text.startswith("waiting for another run"):
            waiting.set()

    monkeypatch.setattr(tool, "build", build)
    monkeypatch.setattr(tool, "say", say)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(tool.get, "3.13t")
        assert building.wait(SECONDS)
        second = threads.submit(tool.get, "3.13t")

    assert first.result() == second.result() == tool.cached("3.13t")
    assert builds == ["3.13t"]


def test_runs_for_different_versions_do_not_wait_for_each_other(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = {"3.13t": Event(), "3.14t": Event()}

    def build(version: str) -> Path:
        inside[version].set()
        assert all(event.wait(SECONDS) for event in inside.values())
        return finished_build(tool, version)

    monkeypatch.setattr(tool, "build", build)

    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(tool.get, inside))

    assert paths == [tool.cached(version) for version in inside]


def test_a_failing_uv_gives_way_to_a_build(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "uv", "exit 2")
    monkeypatch.setattr(tool, "build", lambda version: finished_build(tool, version))

    found = tool.get("3.14t")

    assert found == tool.cached("3.14t")


def test_what_uv_finds_is_taken_only_if_it_is_the_build_asked_for(
    tool: ModuleType, tmp_path: Path
) -> None:
    free = interpreter(tmp_path / "free", "3.14t")
    gil = interpreter(tmp_path / "gil", "3.14")
    answers = f'case "$4" in 3.14) echo {gil};; *) echo {free};; esac'
    script(tmp_path / "bin" / "uv", f'[ "$2" = install ] || {answers}')

    found = tool.get("3.14")

    assert found == gil


def test_link_makes_only_the_links_asked_for(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {version: finished_build(tool, version) for version in ("3.13t", "3.14t", "3.14")}

    status = tool.main(["--link", str(tmp_path / "links"), "3.13t", "3.14"])

    links = {link.name: link.readlink() for link in (tmp_path / "links").iterdir()}
    assert status == 0
    assert links == {"python3.13t": paths["3.13t"], "python3.14": paths["3.14"]}
    assert capsys.readouterr().out == ""


def test_link_replaces_a_link_to_what_is_gone(tool: ModuleType, tmp_path: Path) -> None:
    path, link = finished_build(tool, "3.13t"), tmp_path / "links" / "python3.13t"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "gone")

    tool.link(link.parent, ["3.13t"])

    assert link.readlink() == path
