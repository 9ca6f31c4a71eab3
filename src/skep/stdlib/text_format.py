"""The kernel's formatted output for programs: which formats are accepted, and what they print.

Accepted are ``%%``, ``%c``, ``%s``, ``%p`` and its variants (``%px %pK %ps %pS %pB``, ``%pks %pus``, ``%pI4 %pi4
%pI6 %pi6``), and ``%d %i %u %x %X``, each with ``l`` or ``ll``; before the letter flags out of ``0 + -`` and space,
and a width. Anything else, a character that is not printable ASCII or space, or more conversions than arguments is
-EINVAL. Plain ``%p`` prints the address itself (Linux prints a hash of it), a symbol prints as its address.

Pointers of ``%s`` and addresses are read as the kernel reads them: memory that is not there is empty text or zeros,
never a crash. ``process_vm_readv`` on the own process does that without a signal handler. Source:
``bpf_bprintf_prepare`` and ``bstr_printf`` as observed on Linux 6.18, and ``Documentation/core-api/printk-formats``.
"""

from __future__ import annotations

import errno

from skep.lang import (
    Array,
    Ptr,
    address_of,
    external,
    function,
    i32,
    i64,
    length,
    offset,
    struct,
    table,
    u8,
    u32,
    u64,
)

#: The longest text that ``%s`` prints.
STRING_SIZE = 512
_PAGE = 4096

_EINVAL = -errno.EINVAL

_LEFT = 1
_PLUS = 2
_SPACE = 4
_ZERO = 8

_LOWER = table(u8, tuple(b"0123456789abcdef"))
_UPPER = table(u8, tuple(b"0123456789ABCDEF"))


@struct
class _Extent:
    address: u64
    size: u64


_getpid = external("getpid", [], i32)
_process_vm_readv = external("process_vm_readv", [i32, Ptr[_Extent], u64, Ptr[_Extent], u64, u64], i64)


@struct
class Output:
    """Where text goes: ``size`` bytes were produced, of which the first ``capacity`` minus one are kept."""

    at: Ptr[u8]
    capacity: u32
    size: u32


@struct
class _Buffer:
    bytes: Array[u8] = length(STRING_SIZE)


@struct
class Conversion:
    """Flags and width of one conversion of a format."""

    flags: u32
    width: u32


@function(inline="never")
def read_memory(target: Ptr[u8], address: u64, size: u32) -> u32:
    """Copy up to ``size`` bytes from an address that may be anything; how many could be read."""
    done = u32(0)
    local = _Extent()
    remote = _Extent()
    while done < size:
        part = u32(_PAGE) - u32((address + u64(done)) & (_PAGE - 1))
        if part > size - done:
            part = size - done
        local.address = u64(offset(target, done))
        local.size = u64(part)
        remote.address = address + u64(done)
        remote.size = u64(part)
        if _process_vm_readv(_getpid(), address_of(local), u64(1), address_of(remote), u64(1), u64(0)) != i64(part):
            break
        done += part
    return done


@function(inline="never")
def _put(out: Ptr[Output], byte: u8) -> None:
    if out.size + 1 < out.capacity:
        out.at[out.size] = byte
    out.size += 1


@function(inline="never")
def _pad(out: Ptr[Output], byte: u8, used: u32, width: u32) -> None:
    position = used
    while position < width:
        _put(out, byte)
        position += 1


@function(inline="never")
def _put_text(out: Ptr[Output], text: Ptr[u8], size: u32, conversion: Ptr[Conversion]) -> None:
    if conversion.flags & _LEFT == 0:
        _pad(out, u8(ord(" ")), size, conversion.width)
    for index in range(size):
        _put(out, text[index])
    if conversion.flags & _LEFT != 0:
        _pad(out, u8(ord(" ")), size, conversion.width)


@function(inline="never")
def _put_number(
    out: Ptr[Output], number: u64, sign: u8, radix: u64, upper: bool, conversion: Ptr[Conversion]
) -> None:
    digits = _Buffer()
    count = u32(0)
    rest = number
    while True:
        digit = rest % radix
        digits.bytes[count] = _UPPER[digit] if upper else _LOWER[digit]
        count += 1
        rest = rest // radix
        if rest == 0:
            break
    flags = conversion.flags
    used = count + u32(sign != 0)
    if flags & (_LEFT | _ZERO) == 0:
        _pad(out, u8(ord(" ")), used, conversion.width)
    if sign != 0:
        _put(out, sign)
    if flags & _ZERO != 0 and flags & _LEFT == 0:
        _pad(out, u8(ord("0")), used, conversion.width)
    while count != 0:
        count -= 1
        _put(out, digits.bytes[count])
    if flags & _LEFT != 0:
        _pad(out, u8(ord(" ")), used, conversion.width)


@function(inline="never")
def _put_signed(out: Ptr[Output], number: i64, conversion: Ptr[Conversion]) -> None:
    sign = u8(0)
    if number < 0:
        sign = u8(ord("-"))
    elif conversion.flags & _PLUS != 0:
        sign = u8(ord("+"))
    elif conversion.flags & _SPACE != 0:
        sign = u8(ord(" "))
    _put_number(out, u64(-number) if number < 0 else u64(number), sign, u64(10), False, conversion)


@function(inline="never")
def _put_address(out: Ptr[Output], address: u64, conversion: Ptr[Conversion]) -> None:
    if conversion.width == 0:
        conversion.width = 16
        conversion.flags |= _ZERO
    _put_number(out, address, u8(0), u64(16), False, conversion)


@function(inline="never")
def _put_string(out: Ptr[Output], address: u64, conversion: Ptr[Conversion]) -> None:
    text = _Buffer()
    size = read_memory(address_of(text.bytes[0]), address, u32(STRING_SIZE - 1))
    used = u32(0)
    while used < size and text.bytes[used] != 0:
        used += 1
    _put_text(out, address_of(text.bytes[0]), used, conversion)


@function(inline="never")
def _put_internet(out: Ptr[Output], address: u64, is_six: bool, plain: bool) -> None:
    """An address of the Internet: ``plain`` is dots without leading zeros, or groups with colons. It has no width."""
    numbers = _Buffer()
    size = u32(16) if is_six else u32(4)
    read_memory(address_of(numbers.bytes[0]), address, size)
    digits = Conversion()
    digits.flags = u32(_ZERO)
    for index in range(size):
        if is_six:
            digits.width = u32(2)
            _put_number(out, u64(numbers.bytes[index]), u8(0), u64(16), False, address_of(digits))
            if plain and index & 1 != 0 and index != 15:
                _put(out, u8(ord(":")))
        else:
            digits.width = u32(1) if plain else u32(3)
            _put_number(out, u64(numbers.bytes[index]), u8(0), u64(10), False, address_of(digits))
            if index != 3:
                _put(out, u8(ord(".")))


@function(inline="always")
def _is_space(byte: u8) -> bool:
    return byte == ord(" ") or (byte >= 9 and byte <= 13)


@function(inline="always")
def _is_digit(byte: u8) -> bool:
    return byte >= ord("0") and byte <= ord("9")


@function(inline="always")
def _ends_word(byte: u8) -> bool:
    """Whether a letter behind a conversion could not be meant as a part of it: end, space or punctuation."""
    if byte == 0 or _is_space(byte):
        return True
    lower = byte | 32
    return byte > 32 and byte < 127 and not _is_digit(byte) and not (lower >= ord("a") and lower <= ord("z"))


@function(inline="never")
def _pointer(out: Ptr[Output], format: Ptr[u8], start: u32, value: u64, conversion: Ptr[Conversion]) -> u32:
    """Print what ``%p`` at ``start`` asks for; the length of its letters, 0 if there is no such conversion."""
    kind = format[start + 1]
    if _ends_word(kind) or kind == ord("K") or kind == ord("x"):
        _put_address(out, value, conversion)
        return u32(1) if _ends_word(kind) else u32(2)
    following = format[start + 2]
    if (kind == ord("k") or kind == ord("u")) and following == ord("s"):
        if not _ends_word(format[start + 3]):
            return u32(0)
        _put_string(out, value, conversion)
        return u32(3)
    if kind == ord("s") or kind == ord("S") or kind == ord("B"):
        _put(out, u8(ord("0")))
        _put(out, u8(ord("x")))
        _put_number(out, value, u8(0), u64(16), False, conversion)
        return u32(2)
    if (kind == ord("i") or kind == ord("I")) and (following == ord("4") or following == ord("6")):
        _put_internet(out, value, following == ord("6"), kind == ord("I"))
        return u32(3)
    return u32(0)


@function(inline="never")
def _integer(out: Ptr[Output], format: Ptr[u8], start: u32, value: u64, conversion: Ptr[Conversion]) -> u32:
    """Print the integer that the letters at ``start`` ask for; their length, 0 if there is no such conversion."""
    at = start
    is_long = format[at] == ord("l")
    if is_long:
        at += 1
        if format[at] == ord("l"):
            at += 1
    kind = format[at]
    unsigned = value if is_long else u64(u32(value))
    if kind == ord("d") or kind == ord("i"):
        _put_signed(out, i64(value) if is_long else i64(i32(value)), conversion)
    elif kind == ord("u"):
        _put_number(out, unsigned, u8(0), u64(10), False, conversion)
    elif kind == ord("x") or kind == ord("X"):
        _put_number(out, unsigned, u8(0), u64(16), kind == ord("X"), conversion)
    else:
        return u32(0)
    return at + 1 - start


@function(inline="never")
def format_text(out: Ptr[Output], format: Ptr[u8], format_size: u32, arguments: Ptr[u64], count: u32) -> i64:
    """Print to ``out``: 0, or -EINVAL for a format without end or with anything in it that is not accepted."""
    end = u32(0)
    while end < format_size and format[end] != 0:
        end += 1
    if end == format_size:
        return i64(_EINVAL)
    used = u32(0)
    position = u32(0)
    conversion = Conversion()
    one = _Buffer()
    while position < end:
        byte = format[position]
        if byte == 127 or (byte < 32 and not _is_space(byte)):
            return i64(_EINVAL)
        position += 1
        if byte != ord("%"):
            _put(out, byte)
            continue
        if format[position] == ord("%"):
            _put(out, u8(ord("%")))
            position += 1
            continue
        if used >= count:
            return i64(_EINVAL)
        conversion.flags = u32(0)
        conversion.width = u32(0)
        while True:
            flag = format[position]
            if flag == ord("-"):
                conversion.flags |= _LEFT
            elif flag == ord("+"):
                conversion.flags |= _PLUS
            elif flag == ord(" "):
                conversion.flags |= _SPACE
            elif flag == ord("0"):
                conversion.flags |= _ZERO
            else:
                break
            position += 1
        while _is_digit(format[position]):
            if conversion.width < STRING_SIZE:
                conversion.width = conversion.width * 10 + u32(format[position]) - u32(ord("0"))
            position += 1
        value = arguments[used]
        kind = format[position]
        letters = u32(1)
        if kind == ord("p"):
            letters = _pointer(out, format, position, value, address_of(conversion))
        elif kind == ord("s"):
            if not _ends_word(format[position + 1]):
                return i64(_EINVAL)
            _put_string(out, value, address_of(conversion))
        elif kind == ord("c"):
            one.bytes[0] = u8(value)
            _put_text(out, address_of(one.bytes[0]), u32(1), address_of(conversion))
        else:
            letters = _integer(out, format, position, value, address_of(conversion))
        if letters == 0:
            return i64(_EINVAL)
        position += letters
        while kind == ord("p") and not _ends_word(format[position]) and format[position] < 127:
            # Linux takes all letters and digits behind a pointer for a part of it.
            position += 1
        used += 1
    return i64(0)
