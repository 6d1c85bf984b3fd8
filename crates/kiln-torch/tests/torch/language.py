"""What Python does, as assertions. It passes under CPython with PyTorch (`python language.py`) and under Kiln."""

import copy
import functools
import itertools
import logging
import math
import numbers
import operator
import os
import string
import sys
import warnings
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Iterable
from dataclasses import KW_ONLY, InitVar, asdict, astuple, dataclass, field, fields, is_dataclass, replace
from enum import Enum, IntEnum, StrEnum, auto
from functools import partial, reduce, wraps
from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import torch
import torch.nn as nn


def integers():
    assert 7 // 2 == 3 and -7 // 2 == -4 and 7 // -2 == -4 and -7 // -2 == 3
    assert 7 % 3 == 1 and -7 % 3 == 2 and 7 % -3 == -2 and -7 % -3 == -1
    assert 6 // -2 == -3 and 6 % -2 == 0 and 0 // 5 == 0
    assert divmod(-7, 2) == (-4, 1) and divmod(7, -2) == (-4, -1)
    assert 2**10 == 1024 and 2**-1 == 0.5 and (-2) ** 3 == -8 and -(2**2) == -4 and 0**0 == 1
    assert 7 / 2 == 3.5 and isinstance(4 / 2, float) and 4 / 2 == 2
    assert 5 & 3 == 1 and 5 | 3 == 7 and 5 ^ 3 == 6 and ~5 == -6 and 1 << 4 == 16 and -9 >> 1 == -5
    assert abs(-3) == 3 and pow(2, 5) == 32 and +3 == 3 and - -3 == 3
    assert 1_000 == 1000 and 0x1F == 31 and 0b101 == 5 and 0o17 == 15
    assert int("42") == 42 and int(" -7 ") == -7 and int(3.9) == 3 and int(-3.9) == -3 and int(True) == 1
    assert int("ff", 16) == 255 and int() == 0 and float() == 0.0 and str() == "" and bool() is False
    assert max(3, 1, 2) == 3 and min([4, 2, 8]) == 2 and sum([1, 2, 3]) == 6 and sum([1, 2], 10) == 13
    assert str(-5) == "-5" and repr(12) == "12"
    assert type(5) is int and type(5.0) is float and type("") == str


def floats():
    assert 0.1 + 0.2 != 0.3 and abs(0.1 + 0.2 - 0.3) < 1e-12
    assert 7.5 // 2 == 3.0 and -7.5 // 2 == -4.0 and 7.5 % 2 == 1.5 and -7.5 % 2 == 0.5 and 7.5 % -2 == -0.5
    assert isinstance(7.0 // 2, float) and 2.0**3 == 8.0 and 4**0.5 == 2.0
    assert str(1.0) == "1.0" and str(0.1) == "0.1" and str(1e20) == "1e+20" and str(1e-5) == "1e-05"
    assert str(100000.0) == "100000.0" and str(1e16) == "1e+16" and repr(2.5) == "2.5" and str(-0.0) == "-0.0"
    assert str(float("inf")) == "inf" and str(1.5e300 * 1e300) == "inf" and float("-inf") < 0
    assert round(2.5) == 2 and round(3.5) == 4 and round(-2.5) == -2 and round(2.4) == 2 and isinstance(round(2.6), int)
    assert round(2.675, 2) == 2.67 and round(1.25, 1) == 1.2 and round(0.15, 1) == 0.1 and round(1234.5, -2) == 1200.0
    assert round(7) == 7 and round(1234, -2) == 1200 and round(2.0, 1) == 2.0 and isinstance(round(5, 1), int)
    assert float("1e-3") == 0.001 and float(3) == 3.0 and float(" 2.5 ") == 2.5 and float(True) == 1.0
    assert math.isclose(math.sqrt(2) ** 2, 2) and math.floor(-2.5) == -3 and math.ceil(2.1) == 3 and math.trunc(-2.9) == -2
    assert isinstance(math.floor(2.5), int) and math.log(math.e) == 1.0 and math.log(8, 2) == 3.0 and math.log2(8) == 3.0
    assert math.log10(1000) == 3.0 or math.isclose(math.log10(1000), 3.0)
    assert math.gcd(12, 18) == 6 and math.prod([2, 3, 4]) == 24 and math.pi > 3.14 and math.inf > 1e300
    assert math.exp(0) == 1.0 and math.sin(0) == 0.0 and math.cos(0) == 1.0 and math.tanh(0) == 0.0 and math.pow(2, 3) == 8.0
    assert math.isnan(float("nan")) and not math.isinf(1.0) and math.fabs(-2) == 2.0 and math.hypot(3, 4) == 5.0
    assert float("nan") != float("nan")
    assert math.factorial(5) == 120 and math.isqrt(17) == 4
    assert 1 == 1.0 and 3 < 3.5 and 2.0 in [1, 2]


def booleans():
    assert True + True == 2 and True * 3 == 3 and sum([True, False, True]) == 2 and -True == -1
    assert (1 < 2 < 3) and not (1 < 3 < 2) and 1 < 2 > 0 and 1 == 1 != 2
    assert (0 or 5) == 5 and (0 and 5) == 0 and ([] or "x") == "x" and (1 and 2) == 2 and (None or 0) == 0
    assert not [] and not "" and not {} and not () and not 0 and not 0.0 and not None and [0] and "0"
    assert (True if [] else False) is False and bool("False") is True and bool([]) is False
    assert any([0, 0, 1]) and not any([]) and all([]) and not all([1, 0]) and any(x > 2 for x in range(4))
    assert True & False is False and True | False is True and True ^ True is False
    assert isinstance(True, int) and isinstance(True, bool) and not isinstance(1, bool) and True == 1 and True is not 1.0
    assert str(True) == "True" and int(False) == 0 and [10, 20][True] == 20 and {1: "a"}[True] == "a"
    calls = []
    assert (calls.append(1) or True) or calls.append(2)
    assert calls == [1]


def strings():
    text = "Conv2d_layer"
    assert text.lower() == "conv2d_layer" and text.upper() == "CONV2D_LAYER" and text[0] == "C" and text[-1] == "r"
    assert text[::-1] == "reyal_d2vnoC" and text[1:4] == "onv" and text[:-6] == "Conv2d" and text[::2] == "Cn2_ae" and len(text) == 12
    assert text.startswith("Conv") and text.endswith(("er", "x")) and "2d" in text and "3d" not in text
    assert text.replace("o", "0") == "C0nv2d_layer" and "aaa".replace("a", "b", 2) == "bba" and text.find("v") == 3 and text.find("z") == -1
    assert "a,b,,c".split(",") == ["a", "b", "", "c"] and " a  b ".split() == ["a", "b"] and "a,b,c".split(",", 1) == ["a", "b,c"]
    assert "a.b.c".rsplit(".", 1) == ["a.b", "c"] and "-".join(["x", "y"]) == "x-y" and "".join(str(i) for i in range(3)) == "012"
    assert "  x ".strip() == "x" and "xxaxx".strip("x") == "a" and "  x ".lstrip() == "x " and "x  ".rstrip() == "x" and "abc".rstrip("cb") == "a"
    assert "ab" * 3 == "ababab" and 2 * "-" == "--" and "a" + "b" == "ab" and "a" "b" == "ab"
    assert "abc".title() == "Abc" and "abc".capitalize() == "Abc" and "banana".count("an") == 2 and "abc".index("c") == 2
    assert "12".isdigit() and not "1a".isdigit() and "ab".isalpha() and "A".isupper() and "a".islower() and "a1".isalnum()
    assert "5".zfill(3) == "005" and "x".ljust(3) + "|" == "x  |" and "x".rjust(3) == "  x" and "x".center(3, "*") == "*x*"
    assert list("abc") == ["a", "b", "c"] and sorted("cab") == ["a", "b", "c"] and "a" < "b" and "Z" < "a" and "ab" < "abc"
    assert "k=v".partition("=") == ("k", "=", "v") and "abc".partition("x") == ("abc", "", "")
    assert ord("a") == 97 and chr(98) == "b" and "a\tb\n".splitlines() == ["a\tb"] and r"\n" == "\\n" and len("""a
b""") == 3
    assert "prefix_x".removeprefix("prefix_") == "x" and "x.py".removesuffix(".py") == "x"
    assert repr("a") == "'a'" and repr("it's") == '"it\'s"' and str(["a", 1, None, 2.0]) == "['a', 1, None, 2.0]"
    assert str((1,)) == "(1,)" and str({"a": 1}) == "{'a': 1}" and str([]) == "[]" and str({1, 2}) == "{1, 2}" and str(set()) == "set()"
    assert [int(part) for part in "3x4".split("x")] == [3, 4]
    assert "é".upper() == "É" and len("héllo") == 5 and "héllo"[1] == "é"


def formats():
    n, x, s = 42, 3.14159, "ab"
    assert f"{n}" == "42" and f"{n:5d}|" == "   42|" and f"{n:<5}|" == "42   |" and f"{n:^6}|" == "  42  |" and f"{n:05d}" == "00042"
    assert f"{x:.2f}" == "3.14" and f"{x:8.3f}" == "   3.142" and f"{x:.0f}" == "3" and f"{x}" == "3.14159" and f"{2.5:.0f}" == "2"
    assert f"{s:>4}" == "  ab" and f"{s:4}|" == "ab  |" and f"{s:*^6}" == "**ab**" and f"{s!r}" == "'ab'" and f"{s:.1}" == "a"
    assert f"{1234567:,}" == "1,234,567" and f"{1234.5:,.2f}" == "1,234.50" and f"{0.256:.1%}" == "25.6%" and f"{-5:+d} {5:+d}" == "-5 +5"
    assert f"{x:.3e}" == "3.142e+00" and f"{1e-7:.1e}" == "1.0e-07" and f"{123456.0:.3g}" == "1.23e+05" and f"{0.5:g}" == "0.5"
    assert f"{255:x}" == "ff" and f"{255:#x}" == "0xff" and f"{5:b}" == "101" and f"{5:08b}" == "00000101" and f"{255:X}" == "FF"
    assert f"{-3:05d}" == "-0003" and f"{-1.5:07.2f}" == "-001.50" and f"{True}" == "True" and f"{None}" == "None" and f"{[1, 'a']}" == "[1, 'a']"
    width, digits = 7, 2
    assert f"{x:{width}.{digits}f}" == "   3.14" and f"{n=}" == "n=42" and f"{{}}" == "{}" and f"{n + 1}{'!' * 2}" == "43!!"
    assert "{} {}".format(1, "a") == "1 a" and "{1}{0}".format("a", "b") == "ba" and "{k:.1f}".format(k=2.25) == "2.2" and "{:>3}".format(7) == "  7"
    assert "{0[1]} {1[k]}".format([1, 2], {"k": 3}) == "2 3" and "{{{}}}".format(1) == "{1}" and "{!r}".format("a") == "'a'"
    assert "%d %s" % (3, "x") == "3 x" and "%5.1f|" % 2.25 == "  2.2|" and "%03d" % 7 == "007" and "%s" % None == "None" and "100%%" % () == "100%"
    assert "%s" % [1] == "[1]" and "%r" % "a" == "'a'" and "%5s|%-5s|" % ("a", "b") == "    a|b    |" and "%(a)d" % {"a": 1} == "1" and "%d" % 3.9 == "3"
    assert "%x" % 255 == "ff" and "%e" % 12345.678 == "1.234568e+04" and "%g" % 0.0001 == "0.0001" and "%%" % () == "%"
    assert format(3.14159, ".2f") == "3.14" and format(7, "03d") == "007"


def lists():
    a = [3, 1, 2]
    b = a
    b.append(4)
    assert a == [3, 1, 2, 4] and a is b and a[:] is not a and a[:] == a
    a += [5]
    assert b[-1] == 5
    a = a + [6]
    assert len(b) == 5 and len(a) == 6
    assert a[-2:] == [5, 6] and a[::-1] == [6, 5, 4, 2, 1, 3] and a[4:1:-1] == [5, 4, 2] and a[::2] == [3, 2, 5] and a[-1:-4:-2] == [6, 4]
    assert a[10:] == [] and a[-100:2] == [3, 1] and a[2:1] == [] and a[1:-1] == [1, 2, 4, 5]
    assert a.index(2) == 2 and a.count(1) == 1 and 4 in a and 9 not in a and a.pop() == 6 and a.pop(0) == 3 and a == [1, 2, 4, 5]
    a.insert(1, 9)
    a.extend(range(2))
    a.remove(9)
    assert a == [1, 2, 4, 5, 0, 1]
    a.sort()
    assert a == [0, 1, 1, 2, 4, 5]
    a.sort(reverse=True)
    a.sort(key=lambda v: v % 2)
    assert a == [4, 2, 0, 5, 1, 1]
    a.reverse()
    assert a == [1, 1, 5, 0, 2, 4]
    a[0], a[-1] = a[-1], a[0]
    assert a == [4, 1, 5, 0, 2, 1]
    a[1:3] = [7, 8, 9]
    assert a == [4, 7, 8, 9, 0, 2, 1]
    del a[0]
    del a[1:3]
    assert a == [7, 0, 2, 1]
    a[::2] = [5, 6]
    assert a == [5, 0, 6, 1]
    a.clear()
    assert a == [] and [] == []
    rows = [[0] * 2] * 3
    rows[0][0] = 1
    assert rows == [[1, 0], [1, 0], [1, 0]] and rows[0] is rows[1]
    apart = [[0] * 2 for _ in range(3)]
    apart[0][0] = 1
    assert apart == [[1, 0], [0, 0], [0, 0]]
    a = [1, 2]
    a *= 2
    assert a == [1, 2, 1, 2] and [1, 2] < [1, 3] and [1] < [1, 0] and [[1], [2]] == [[1], [2]] and 0 * [1] == [] and -1 * [1] == []
    a = [1, 2, 3]
    a[1] += 5
    assert a == [1, 7, 3] and list(a) is not a and a.copy() == a
    for place, item in enumerate(a):
        a[place] = item * 2
    assert a == [2, 14, 6] and sorted(a, reverse=True) == [14, 6, 2] and sorted(["bb", "a"], key=len) == ["a", "bb"]
    nested = [1, [2, 3]]
    shallow, deep = nested.copy(), copy.deepcopy(nested)
    nested[1].append(4)
    assert shallow == [1, [2, 3, 4]] and deep == [1, [2, 3]]
    assert max(["a", "ccc", "bb"], key=len) == "ccc" and min([(2, "a"), (1, "b")]) == (1, "b") and max([], default=7) == 7
    assert list(reversed([1, 2, 3])) == [3, 2, 1] and [1, 2] + [3] == [1, 2, 3] and [*range(2), *[5]] == [0, 1, 5]


def tuples():
    t = (1, 2, 3)
    assert t[0] == 1 and t[-1] == 3 and t[1:] == (2, 3) and t + (4,) == (1, 2, 3, 4) and t * 2 == (1, 2, 3, 1, 2, 3) and len(t) == 3
    assert t.index(2) == 1 and t.count(3) == 1 and (1, 2) < (1, 3) and () == tuple() and (1) == 1 and tuple([1, 2]) == (1, 2)
    a, b = 1, 2
    a, b = b, a
    assert (a, b) == (2, 1)
    first, *rest = [1, 2, 3]
    *front, last = (1, 2, 3)
    head, *middle, tail = "abcd"
    assert first == 1 and rest == [2, 3] and front == [1, 2] and last == 3 and middle == ["b", "c"] and head + tail == "ad"
    (x, y), z = (1, 2), 3
    [p, q] = [4, 5]
    assert (x, y, z, p, q) == (1, 2, 3, 4, 5)
    one, *none = [1]
    assert none == [] and one == 1
    assert {(1, 2): "a"}[1, 2] == "a" and (1, *t, 5) == (1, 1, 2, 3, 5)
    u = v = []
    u.append(1)
    assert v == [1]
    i = 0
    i, items = 1, [0, 0, 0]
    i, items[i] = 2, 9
    assert items == [0, 0, 9]


def dicts():
    d = {"b": 1, "a": 2}
    assert list(d) == ["b", "a"] and list(d.keys()) == ["b", "a"] and list(d.values()) == [1, 2] and list(d.items()) == [("b", 1), ("a", 2)]
    d["c"] = 3
    d["b"] = 9
    assert list(d.items()) == [("b", 9), ("a", 2), ("c", 3)] and len(d) == 3 and "a" in d and "z" not in d
    assert d.get("a") == 2 and d.get("z") is None and d.get("z", 0) == 0 and d.pop("a") == 2 and d.pop("z", 5) == 5
    d.update({"x": 1}, y=2)
    d.update([("z", 3)])
    assert d == {"b": 9, "c": 3, "x": 1, "y": 2, "z": 3} and d.setdefault("b", 0) == 9 and d.setdefault("n", []) == []
    d["n"].append(1)
    assert d["n"] == [1] and {**d, "b": 0}["b"] == 0 and ({"a": 1} | {"a": 2, "b": 3}) == {"a": 2, "b": 3}
    del d["n"]
    assert d.popitem() == ("z", 3) and {k: v for k, v in d.items() if v > 1} == {"b": 9, "c": 3, "y": 2}
    same = d
    other = d.copy()
    d["new"] = 1
    assert "new" in same and "new" not in other and dict(d) is not d and dict(a=1) == {"a": 1} and dict([(1, 2)]) == {1: 2}
    assert dict(zip("ab", [1, 2])) == {"a": 1, "b": 2} and {1: "a", 1.0: "b"} == {1: "b"} and {} == dict()
    o = OrderedDict([("x", 1), ("y", 2)])
    o["z"] = 3
    assert list(o) == ["x", "y", "z"] and [k for k in o] == ["x", "y", "z"] and o["y"] == 2
    o.move_to_end("x")
    assert list(o) == ["y", "z", "x"]
    counts = {}
    for letter in "abca":
        counts[letter] = counts.get(letter, 0) + 1
    assert counts == {"a": 2, "b": 1, "c": 1} and max(counts, key=counts.get) == "a" and sorted(counts.items(), key=lambda kv: -kv[1])[0] == ("a", 2)
    d = {"a": 1}
    d["a"] += 1
    d |= {"b": 5}
    assert d == {"a": 2, "b": 5} and sum(d.values()) == 7 and {"a": 1, "b": 2} == {"b": 2, "a": 1}
    d.clear()
    assert not d
    keys = {"a": 1, "b": 2}.keys()
    assert "a" in keys and len(keys) == 2
    try:
        {}.pop("missing")
        raise AssertionError("there is no such key")
    except KeyError:
        pass


def sets():
    s = {1, 2, 2}
    s.add(3)
    s.add(1)
    assert len(s) == 3 and 2 in s and s == {3, 2, 1} and sorted(s | {9}) == [1, 2, 3, 9] and s & {1, 7} == {1} and s - {1} == {2, 3} and s ^ {1, 5} == {2, 3, 5}
    s.discard(7)
    s.remove(3)
    s.update([8, 9])
    assert s == {1, 2, 8, 9} and s.union({0}) == {0, 1, 2, 8, 9} and s.intersection({8, 0}) == {8} and s.difference({8}) == {1, 2, 9}
    assert set() == set([]) and {1} <= {1, 2} and {1}.issubset({1, 2}) and {1, 2}.issuperset({1}) and {1}.isdisjoint({2}) and not {1, 2} < {1, 2}
    assert {x % 3 for x in range(9)} == {0, 1, 2} and len(set("hello")) == 4


def comprehensions():
    x = "outer"
    assert [x for x in range(3)] == [0, 1, 2] and x == "outer"
    assert [(a, b) for a in range(2) for b in range(a + 1)] == [(0, 0), (1, 0), (1, 1)]
    assert [a * b for a, b in zip([1, 2], [3, 4]) if a > 1] == [8] and [n for n in range(10) if n % 2 if n > 4] == [5, 7, 9]
    assert [[r * c for c in range(2)] for r in range(2)] == [[0, 0], [0, 1]] and {k: v for v, k in enumerate("ab")} == {"a": 0, "b": 1}
    functions = [lambda: n for n in range(3)]
    assert [f() for f in functions] == [2, 2, 2]
    functions = [lambda n=n: n for n in range(3)]
    assert [f() for f in functions] == [0, 1, 2]
    lazy = (n * n for n in range(4))
    assert next(lazy) == 0 and list(lazy) == [1, 4, 9] and list(lazy) == [] and sum(n for n in [1, 2]) == 3
    assert [y := 1, y**2] == [1, 1] and y == 1
    if (m := len("abc")) > 2:
        assert m == 3
    assert [last := n for n in range(3)] == [0, 1, 2] and last == 2


GLOBAL = 1


def set_global(value):
    global GLOBAL
    GLOBAL = value


def functions():
    def f(a, b=2, *args, c, d=4, **kwargs):
        return a, b, args, c, d, kwargs

    assert f(1, c=3) == (1, 2, (), 3, 4, {}) and f(1, 5, 6, 7, c=3, e=8) == (1, 5, (6, 7), 3, 4, {"e": 8})
    assert f(*[1, 2, 3], **{"c": 4}) == (1, 2, (3,), 4, 4, {}) and f(b=1, a=0, c=2)[:2] == (0, 1) and f(1, *(2, 3), c=0, **{"z": 1})[5] == {"z": 1}

    def collect(item, into=[]):
        into.append(item)
        return into

    assert collect(1) == [1] and collect(2) == [1, 2] and collect(3, []) == [3]

    def only(a, /, b, *, c):
        return a + b + c

    assert only(1, 2, c=3) == 6 and only(1, b=2, c=3) == 6
    for bad in (lambda: only(a=1, b=2, c=3), lambda: only(1, 2, 3), lambda: only(1, 2), lambda: f(1, a=2, c=0)):
        try:
            bad()
        except TypeError:
            continue
        raise AssertionError("a wrong call")

    def counter():
        count = 0

        def step(by=1):
            nonlocal count
            count += by
            return count

        return step

    one, two = counter(), counter()
    assert one() == 1 and one(5) == 6 and two() == 1
    set_global(7)
    assert GLOBAL == 7
    GLOBAL_local = GLOBAL
    assert (lambda *a, **k: (a, k))(1, b=2) == ((1,), {"b": 2}) and (lambda: GLOBAL_local)() == 7

    def twice(function):
        @wraps(function)
        def inner(*args, **kwargs):
            return function(function(*args, **kwargs))

        return inner

    @twice
    def plus_one(n):
        return n + 1

    def plus(n):
        def decorate(function):
            return lambda value: function(value) + n

        return decorate

    @plus(10)
    @plus(100)
    def identity(value):
        return value

    assert plus_one(1) == 3 and plus_one.__name__ == "plus_one" and identity(1) == 111
    power = partial(pow, 2)
    assert power(3) == 8 and partial(f, 1, c=2)(9)[1] == 9 and partial(f, c=1)(0, c=5)[3] == 5 and reduce(lambda a, b: a * b, [1, 2, 3, 4]) == 24
    assert reduce(operator.add, [[1], [2]], []) == [1, 2] and functools.partial(int, base=2)("101") == 5

    def nothing():
        pass

    assert nothing() is None and callable(nothing) and not callable(3) and nothing.__name__ == "nothing"

    def recursive(n):
        return 1 if n == 0 else n * recursive(n - 1)

    assert recursive(5) == 120

    def change(values, number):
        values.append(number)
        values = [0]
        number += 1

    mine, n = [1], 5
    change(mine, n)
    assert mine == [1, 5] and n == 5


def flow():
    seen = []
    for n in range(5):
        if n == 1:
            continue
        if n == 3:
            break
        seen.append(n)
    else:
        seen.append("else")
    assert seen == [0, 2]
    for n in range(2):
        pass
    else:
        n = "else"
    assert n == "else"
    n = 0
    while n < 3:
        n += 1
    else:
        n += 10
    assert n == 13
    while True:
        n -= 1
        if n < 5:
            break
    else:
        n = 100
    assert n == 4

    def attempt(kind):
        log = []
        try:
            log.append("try")
            if kind == "value":
                raise ValueError("bad", 1)
            if kind == "key":
                {}["missing"]
            if kind == "type":
                "a" + 1
            if kind == "zero":
                1 // 0
            if kind == "index":
                [][1]
            if kind == "return":
                return log
        except ValueError as error:
            log.append(error.args[0])
        except (KeyError, IndexError) as error:
            log.append(type(error).__name__)
        except TypeError:
            log.append("type")
        except Exception:
            log.append("other")
        else:
            log.append("else")
        finally:
            log.append("finally")
        return log

    assert attempt("value") == ["try", "bad", "finally"] and attempt("key") == ["try", "KeyError", "finally"] and attempt("index") == ["try", "IndexError", "finally"]
    assert attempt("type") == ["try", "type", "finally"] and attempt("zero") == ["try", "other", "finally"] and attempt("") == ["try", "else", "finally"]
    assert attempt("return") == ["try", "finally"]

    class Mine(ValueError):
        pass

    caught = None
    try:
        try:
            raise Mine("inner")
        except ValueError as error:
            caught = str(error)
            raise RuntimeError("outer") from error
    except RuntimeError as error:
        caught += " " + str(error)
    assert caught == "inner outer"
    try:
        try:
            raise KeyError("k")
        except KeyError:
            raise
    except LookupError:
        caught = "again"
    assert caught == "again"
    try:
        getattr(3, "missing")
    except AttributeError:
        caught = "attribute"
    try:
        undefined_name
    except NameError:
        caught += " name"
    try:
        int("x")
    except ValueError:
        caught += " int"
    try:
        a, b = [1, 2, 3]
    except ValueError:
        caught += " unpack"
    try:
        next(iter([]))
    except StopIteration:
        caught += " stop"
    try:
        assert False, "why"
    except AssertionError as error:
        caught += " " + str(error)
    assert caught == "attribute name int unpack stop why"
    kinds = []
    for value in (1, 2.0, "s", [1], None):
        if isinstance(value, (int, float)):
            kinds.append("number")
        elif isinstance(value, str):
            kinds.append("text")
        elif value is None:
            kinds.append("none")
        else:
            kinds.append("other")
    assert kinds == ["number", "number", "text", "other", "none"]


def shifts():
    x = 5
    x <<= 2
    x |= 1
    x &= 0x1D
    x >>= 1
    x ^= 3
    assert x == 9
    y = 7
    y -= 2
    y *= 3
    y //= 2
    y **= 2
    y %= 10
    y /= 2
    assert y == 4.5


class Base:
    shared = []
    number = 1

    def __init__(self, name="base"):
        self.name = name

    def hello(self):
        return "base " + self.name

    def __call__(self, n):
        return n + self.number

    def __len__(self):
        return 3

    def __getitem__(self, key):
        return key * 2

    def __eq__(self, other):
        return isinstance(other, Base) and self.name == other.name

    def __hash__(self):
        return 1

    def __repr__(self):
        return f"Base({self.name!r})"

    def __add__(self, other):
        return Base(self.name + getattr(other, "name", str(other)))

    def __contains__(self, item):
        return item == 1

    def __iter__(self):
        return iter([1, 2])

    def __lt__(self, other):
        return self.name < other.name

    def __bool__(self):
        return self.name != ""

    def __neg__(self):
        return Base("-" + self.name)

    @property
    def upper(self):
        return self.name.upper()

    @staticmethod
    def static(n):
        return n * 2

    @classmethod
    def make(cls, name):
        return cls(name)


class Middle(Base):
    number = 10

    def __init__(self, *args, **kwargs):
        super(Middle, self).__init__(*args, **kwargs)
        self.extra = True

    def hello(self):
        return "middle, " + super().hello()


class Left(Base):
    def hello(self):
        return "left, " + super().hello()


class Right(Base):
    def hello(self):
        return "right, " + super().hello()

    def only_right(self):
        return "right"


class Both(Left, Right):
    def hello(self):
        return "both, " + super().hello()


class Counting:
    count = 0

    def __init__(self):
        Counting.count += 1
        self.id = self.__class__.count


def classes():
    b, m = Base(), Middle("m")
    assert b.hello() == "base base" and m.hello() == "middle, base m" and m.extra and b(1) == 2 and m(1) == 11 and Base.hello(m) == "base m"
    b.shared.append(1)
    assert m.shared == [1] and Base.shared is m.shared
    b.number = 5
    assert b.number == 5 and Base.number == 1 and m.number == 10 and b(1) == 6
    Base.number = 2
    assert Base("x").number == 2 and b.number == 5
    Base.number = 1
    assert len(b) == 3 and b[4] == 8 and b == Base() and b != Base("z") and 1 in b and 2 not in b and list(b) == [1, 2] and repr(b) == "Base('base')"
    assert str(b) == "Base('base')" and f"{b}" == "Base('base')" and (b + m).name == "basem" and (b + 1).name == "base1" and Base("a") < Base("b")
    assert not Base("") and (-b).name == "-base" and sorted([Base("b"), Base("a")])[0].name == "a"
    assert b.upper == "BASE" and Base.static(3) == 6 and m.static(4) == 8 and type(Middle.make("q")) is Middle and Middle.make("q").name == "q"
    both = Both("x")
    assert both.hello() == "both, left, right, base x" and both.only_right() == "right"
    assert isinstance(both, Right) and isinstance(both, Base) and not isinstance(m, Left) and issubclass(Both, Right) and isinstance(m, (int, Base)) and type(m) is not Base
    assert hasattr(m, "name") and not hasattr(m, "nothing") and getattr(m, "name") == "m" and getattr(m, "nothing", 3) == 3
    setattr(m, "dynamic", 4)
    assert m.dynamic == 4
    del m.dynamic
    assert not hasattr(m, "dynamic") and m.__class__.__name__ == "Middle" and type(m).__name__ == "Middle"
    bound = m.hello
    m.name = "later"
    assert bound() == "middle, base later"
    first, second = Counting(), Counting()
    assert (first.id, second.id) == (1, 2) and Counting.count == 2

    class Local:
        base = 3
        derived = base * 2
        table = {"a": base}

        def method(self):
            return self.derived

    assert Local().method() == 6 and Local.table == {"a": 3}
    Local.added = lambda self: self.base
    assert Local().added() == 3

    class Slotted:
        __slots__ = ("a",)

        def __init__(self):
            self.a = 1

    assert Slotted().a == 1

    class Items:
        def __init__(self):
            self.data = {}

        def __setitem__(self, key, value):
            self.data[key] = value

        def __getitem__(self, key):
            return self.data[key]

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.data["closed"] = True

    items = Items()
    items["a"] = 1
    items["a"] += 4
    with items as inside:
        assert inside is items
    assert items["a"] == 5 and items.data.get("closed") is True


@dataclass
class Config:
    width: int
    depth: int = 3
    names: list = field(default_factory=list)

    def total(self):
        return self.width * self.depth


@dataclass
class Wider(Config):
    extra: str = "x"


def data_classes():
    a, b = Config(4), Config(width=4, depth=3)
    assert a == b and a is not b and a.total() == 12 and a != Config(5) and Config(1, 2, ["x"]).names == ["x"]
    a.names.append("only a")
    assert b.names == [] and a.depth == 3
    assert Wider(2).extra == "x" and Wider(1, extra="y").total() == 3 and isinstance(Wider(1), Config)
    assert repr(Config(1)) == "Config(width=1, depth=3, names=[])"


def iterators():
    assert list(zip([1, 2, 3], "ab")) == [(1, "a"), (2, "b")] and list(enumerate("ab", 1)) == [(1, "a"), (2, "b")] and list(map(str, [1, 2])) == ["1", "2"]
    assert list(map(lambda a, b: a + b, [1, 2], [3, 4])) == [4, 6] and list(filter(None, [0, 1, 2])) == [1, 2] and list(filter(lambda n: n > 1, range(4))) == [2, 3]
    assert list(range(5, 0, -2)) == [5, 3, 1] and len(range(0, 10, 3)) == 4 and 6 in range(0, 10, 3) and 5 not in range(0, 10, 3) and range(10)[-1] == 9 and list(range(10)[2:4]) == [2, 3]
    assert list(zip(*[(1, 2), (3, 4)])) == [(1, 3), (2, 4)] and list(itertools.chain([1], (2, 3))) == [1, 2, 3] and list(itertools.product([1, 2], "ab"))[1] == (1, "b")
    assert list(itertools.repeat(1, 2)) == [1, 1]
    items = iter([1, 2, 3])
    assert next(items) == 1 and list(items) == [2, 3] and next(items, "end") == "end"
    pairs = zip([1, 2], [3, 4])
    assert list(pairs) and list(pairs) == []
    for a, b in zip(range(3), range(1, 4)):
        assert b == a + 1
    for place, (left, right) in enumerate([(1, 2), (3, 4)]):
        assert right == left + 1 and place in (0, 1)
    assert max(range(5), key=lambda n: -abs(n - 3)) == 3 and min("bca") == "a" and sorted([(1, "b"), (1, "a"), (0, "z")]) == [(0, "z"), (1, "a"), (1, "b")]
    assert sorted([3, 1, 2], key=lambda n: -n) == [3, 2, 1] and sorted({"b": 1, "a": 2}) == ["a", "b"] and list(reversed(range(3))) == [2, 1, 0]
    assert sum(x * y for x, y in zip([1, 2], [3, 4])) == 11 and sum([[1], [2]], []) == [1, 2] and any(map(lambda n: n == 2, [1, 2]))


def copies():
    class Node:
        def __init__(self, value):
            self.value = value
            self.children = []

    root = Node(1)
    root.children.append(Node(2))
    shallow, deep = copy.copy(root), copy.deepcopy(root)
    root.children[0].value = 3
    root.value = 5
    assert shallow.children[0].value == 3 and deep.children[0].value == 2 and shallow.value == 1 and deep.value == 1
    d = {"a": [1]}
    deep, shallow = copy.deepcopy(d), copy.copy(d)
    d["a"].append(2)
    assert deep == {"a": [1]} and shallow == {"a": [1, 2]}
    shared = [0]
    both = copy.deepcopy([shared, shared])
    both[0].append(1)
    assert both[1] == [0, 1] and shared == [0]
    layer = nn.Linear(2, 2)
    other = copy.deepcopy(layer)
    assert other is not layer and other.weight is not layer.weight and other.in_features == 2


def modules():
    class Block(nn.Module):
        expansion = 4

        def __init__(self, size=2, act=nn.ReLU, *, norm=None):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(size, size) for _ in range(3))
            self.act = act()
            norm = norm or nn.Identity
            self.norm = norm()
            self.register_buffer("scale", None)

        def forward(self, x):
            return x

    block = Block(act=partial(nn.LeakyReLU, 0.2))
    assert len(block.layers) == 3 and block.layers[-1] is block.layers[2] and isinstance(block.act, nn.LeakyReLU) and block.act.negative_slope == 0.2
    assert [name for name, _ in block.named_children()] == ["layers", "act", "norm"] and block.expansion == Block.expansion == 4
    assert [name for name, _ in block.named_parameters()][:2] == ["layers.0.weight", "layers.0.bias"] and sum(p.numel() for p in block.parameters()) == 18
    assert len(list(block.modules())) == 7 and block.layers[0].weight.shape == (2, 2) and tuple(block.layers[0].bias.shape) == (2,)
    net = nn.Sequential(OrderedDict([("a", nn.Linear(2, 3)), ("b", nn.ReLU())]))
    net.add_module("c", nn.Linear(3, 1))
    net.append(nn.Tanh())
    assert len(net) == 4 and net.a is net[0] and [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear", "Tanh"] and len(net[1:]) == 3
    table = nn.ModuleDict({"x": nn.ReLU()})
    table["y"] = nn.Tanh()
    assert list(table.keys()) == ["x", "y"] and "x" in table and len(table) == 2 and isinstance(table["y"], nn.Tanh)
    assert block.scale is None and net.a.out_features == 3 and nn.Conv2d(1, 2, 3).kernel_size == (3, 3) and nn.Linear(1, 1, bias=False).bias is None
    assert hasattr(net, "a") and not hasattr(net, "z") and getattr(nn, "ReLU") is nn.ReLU and {"relu": nn.ReLU}["relu"]().inplace is False


class Kind(Enum):
    SMALL = "small"
    LARGE = 4
    BIG = 4

    @property
    def width(self):
        return 2 if self is Kind.SMALL else 8

    @classmethod
    def default(cls):
        return cls.LARGE

    @staticmethod
    def parse(text):
        return Kind[text.upper()]


class Level(IntEnum):
    LOW = 1
    HIGH = auto()


class Act(str, Enum):
    RELU = "relu"
    GELU = "gelu"


class Name(StrEnum):
    FIRST = auto()
    SECOND = "2nd"


class Shape(Enum):
    SQUARE = (2, 2)
    WIDE = (2, 5)

    def __init__(self, height, width):
        self.height, self.width = height, width

    def area(self):
        return self.height * self.width


class Layers(Enum):
    RELU = nn.ReLU
    TANH = nn.Tanh

    def __call__(self):
        return self.value()


def enumerations():
    assert Kind("small") is Kind.SMALL and Kind["LARGE"] is Kind.LARGE and Kind.BIG is Kind.LARGE and Kind(4).name == "LARGE"
    assert Kind.SMALL.value == "small" and Kind.SMALL.width == 2 and Kind.LARGE.width == 8 and Kind.default() is Kind.LARGE and Kind.parse("small") is Kind.SMALL
    assert [kind.name for kind in Kind] == ["SMALL", "LARGE"] and len(Kind) == 2 and Kind.SMALL in Kind and list(Kind.__members__) == ["SMALL", "LARGE", "BIG"]
    assert Kind.SMALL == Kind.SMALL and Kind.SMALL != Kind.LARGE and Kind.SMALL != "small" and not Kind.LARGE == 4 and isinstance(Kind.SMALL, Kind)
    assert str(Kind.SMALL) == "Kind.SMALL" and repr(Kind.SMALL) == "<Kind.SMALL: 'small'>" and f"{Kind.LARGE}" == "Kind.LARGE"
    assert {Kind.SMALL: 1, Kind.LARGE: 2}[Kind("small")] == 1 and copy.deepcopy(Kind.SMALL) is Kind.SMALL
    assert Level.HIGH == 2 and Level.LOW < Level.HIGH and Level.HIGH + 1 == 3 and str(Level.HIGH) == "2" and [0, 1, 2][Level.HIGH] == 2 and isinstance(Level.LOW, int)
    assert sorted([Level.HIGH, Level.LOW])[0] is Level.LOW and max(Level) is Level.HIGH and Level(1) is Level.LOW and {2: "b"}[Level.HIGH] == "b" and nn.Linear(Level.HIGH, 3).in_features == 2
    assert Act.RELU == "relu" and Act("gelu") is Act.GELU and Act.RELU.upper() == "RELU" and getattr(nn, Act.GELU.value.upper()) is nn.GELU and "relu" in [a.value for a in Act]
    assert str(Act.RELU) == "Act.RELU" and Name.FIRST == "first" and f"{Name.SECOND}" == "2nd" and isinstance(Name.FIRST, str) and "a_" + Name.FIRST == "a_first"
    assert Shape.WIDE.area() == 10 and Shape((2, 2)) is Shape.SQUARE and Shape.WIDE.width == 5
    assert isinstance(Layers.TANH(), nn.Tanh) and Layers.RELU.value is nn.ReLU
    color = Enum("Color", "RED GREEN")
    assert color.GREEN.value == 2 and color["RED"].name == "RED" and Enum("Size", {"S": 1, "L": 9}).L.value == 9
    for wrong, error in ((lambda: Kind("tiny"), ValueError), (lambda: Kind["TINY"], KeyError), (lambda: Kind.TINY, AttributeError)):
        try:
            wrong()
        except error:
            continue
        raise AssertionError("there is no such member")


class Stage(NamedTuple):
    width: int
    depth: int = 2
    act: str = "relu"

    @property
    def total(self):
        return self.width * self.depth


Point = namedtuple("Point", "x y")
Size = namedtuple("Size", ["height", "width"], defaults=[3])


class Moved(Point):
    def __new__(cls, x, y=1):
        return super().__new__(cls, x + 1, y)

    def norm(self):
        return self.x * self.x + self.y * self.y


def named_tuples():
    s, p = Stage(4), Point(1, y=2)
    assert s.width == 4 and s[1] == 2 and s.total == 8 and s == (4, 2, "relu") and len(s) == 3 and isinstance(s, tuple) and isinstance(s, Stage)
    width, depth, act = s
    assert (width, depth, act) == (4, 2, "relu") and list(s)[2] == "relu" and [*s][0] == 4 and s[:2] == (4, 2) and s[-1] == "relu"
    assert p.x == 1 and p.y == 2 and p + (3,) == (1, 2, 3) and p < Point(1, 3) and Point._fields == ("x", "y") and p._asdict() == {"x": 1, "y": 2}
    assert p._replace(y=9) == Point(1, 9) and Point._make([3, 4]).y == 4 and Size(2).width == 3 and {p: "a"}[(1, 2)] == "a" and 2 in p and p.index(2) == 1
    assert repr(p) == "Point(x=1, y=2)" and str(s) == "Stage(width=4, depth=2, act='relu')" and Stage(**{"width": 1, "depth": 1}).total == 1
    assert nn.Conv2d(1, 1, Size(1, 3)).kernel_size == (1, 3) and Moved(1).norm() == 5 and Moved(1, 0)[0] == 2 and type(Moved(1)).__name__ == "Moved"
    for wrong, error in ((lambda: Point(1), TypeError), (lambda: Point(1, 2, 3), TypeError), (lambda: setattr(p, "x", 3), AttributeError)):
        try:
            wrong()
        except error:
            continue
        raise AssertionError("a named tuple of two")


@dataclass(frozen=True)
class Frozen:
    w: int = 2
    ks: tuple = (3, 5)


@dataclass(order=True)
class Ordered:
    rank: int
    name: str = field(default="", compare=False)
    parts: list = field(default_factory=list, repr=False, compare=False)
    _: KW_ONLY = None
    total: int = field(init=False, default=0)
    step: InitVar[int] = 1
    kinds: ClassVar[dict] = {"a": 1}

    def __post_init__(self, step):
        self.total = self.rank + step


@dataclass
class Nested:
    inner: Frozen = Frozen()
    items: list = field(default_factory=lambda: [Frozen(7)])
    table: dict = field(default_factory=dict)


@dataclass(eq=False)
class Block(nn.Module):
    size: int = 2

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.size, self.size)


def data_classes_in_full():
    assert asdict(Frozen()) == {"w": 2, "ks": (3, 5)} and astuple(Frozen(1)) == (1, (3, 5)) and replace(Frozen(), w=9) == Frozen(9) and [f.name for f in fields(Frozen)] == ["w", "ks"]
    assert is_dataclass(Frozen) and is_dataclass(Frozen()) and not is_dataclass(3) and {Frozen(): "a"}[Frozen()] == "a" and fields(Frozen())[0].default == 2
    assert asdict(Nested()) == {"inner": {"w": 2, "ks": (3, 5)}, "items": [{"w": 7, "ks": (3, 5)}], "table": {}} and Nested().items is not Nested().items
    o = Ordered(1, "x", step=5)
    assert o.total == 6 and o < Ordered(2) and sorted([Ordered(3), Ordered(1)])[0].rank == 1 and Ordered(1, "a") == Ordered(1, "b") and Ordered.kinds == {"a": 1}
    assert repr(Ordered(1)) == "Ordered(rank=1, name='', total=2)" and len(fields(o)) == 4
    try:
        Frozen().w = 3
        raise AssertionError("it is frozen")
    except AttributeError:
        pass
    block = Block(3)
    assert block.linear.in_features == 3 and [name for name, _ in block.named_parameters()] == ["linear.weight", "linear.bias"]


class EasyDict(dict):
    def __init__(self, d=None, **kwargs):
        super().__init__()
        for name, value in {**(d or {}), **kwargs}.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        del self[name]


class AttrDict(dict):
    def __init__(self, *args, **kwargs):
        super(AttrDict, self).__init__(*args, **kwargs)
        self.__dict__ = self


class Dotted(dict):
    __getattr__ = dict.get
    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__


class Registry(dict):
    def register(self, function):
        self[function.__name__] = function
        return function

    def __missing__(self, key):
        return f"no {key}"


class Stack(list):
    def top(self):
        return self[-1]

    def append(self, item):
        super().append(item * 2)


class Celsius(float):
    @property
    def fahrenheit(self):
        return self * 1.8 + 32


class Tag(str):
    def loud(self):
        return self.upper() + "!"


REGISTRY = Registry()


@REGISTRY.register
def registered():
    return 5


def subclasses_of_types():
    e = EasyDict(w=4, name="a")
    assert e.w == 4 and e["w"] == 4 and e.get("x", 1) == 1 and len(e) == 2 and "w" in e and list(e.items()) == [("w", 4), ("name", "a")] and {**e} == {"w": 4, "name": "a"}
    e.depth = 3
    del e.name
    assert dict(e) == {"w": 4, "depth": 3} and isinstance(e, dict) and not hasattr(e, "missing") and getattr(e, "missing", 7) == 7 and e == {"w": 4, "depth": 3}
    a = AttrDict(x=1, y=[2])
    a.z = a["x"] + 1
    a["q"] = 9
    assert a.z == 2 and a.q == 9 and sorted(a) == ["q", "x", "y", "z"] and a.y[0] == 2 and (lambda **k: sum(k.values()))(**{"x": a.x, "z": a.z}) == 3
    d = Dotted(u=1)
    d.v = 2
    assert d.u + d.v == 3 and d.nothing is None and d == {"u": 1, "v": 2} and copy.deepcopy(d).v == 2
    assert REGISTRY["registered"]() == 5 and REGISTRY["gone"] == "no gone" and list(REGISTRY) == ["registered"] and registered.__name__ == "registered"
    s = Stack([1, 2])
    s.append(3)
    assert s.top() == 6 and s == [1, 2, 6] and len(s) == 3 and s + [1] == [1, 2, 6, 1] and [n for n in s] == [1, 2, 6] and isinstance(s, list) and bool(Stack()) is False
    assert Celsius(100).fahrenheit == 212 and Celsius(1) + 1 == 2 and Tag("a").loud() == "A!" and Tag("a") == "a" and f"{Tag('b')}" == "b" and {"a": 1}[Tag("a")] == 1
    counts = defaultdict(int)
    counts["a"] += 1
    groups = defaultdict(list)
    groups["x"].append(1)
    assert counts["a"] == 1 and counts["b"] == 0 and dict(groups) == {"x": [1]} and isinstance(groups, dict) and isinstance(OrderedDict(), dict)
    assert isinstance(OrderedDict(), OrderedDict) and not isinstance({}, OrderedDict) and OrderedDict(a=1, b=2) != OrderedDict(b=2, a=1) and OrderedDict(a=1) == {"a": 1}
    assert repr(OrderedDict(a=1)) == "OrderedDict([('a', 1)])" and dict.fromkeys("ab", 0) == {"a": 0, "b": 0} and type(OrderedDict(a=1).copy()) is OrderedDict


class Temperature:
    def __init__(self):
        self._value = 1
        self.log = []

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, new):
        self.log.append(new)
        self._value = new

    @value.deleter
    def value(self):
        self._value = None

    @property
    def fixed(self):
        return 3

    @functools.cached_property
    def slow(self):
        self.log.append("slow")
        return len(self.log)

    doubled = property(lambda self: self._value * 2)


class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return getattr(instance, self.name)

    def __set__(self, instance, value):
        if value <= 0:
            raise ValueError("not positive")
        setattr(instance, self.name, value)


class Checked:
    size = Positive()

    def __init__(self, size):
        self.size = size


class Plugin:
    known = {}

    def __init_subclass__(cls, key=None, **kwargs):
        super().__init_subclass__(**kwargs)
        Plugin.known[key or cls.__name__] = cls


class First(Plugin):
    pass


class Second(Plugin, key="two"):
    pass


class Single:
    instance = None

    def __new__(cls, *args, **kwargs):
        if cls.instance is None:
            cls.instance = super().__new__(cls)
        return cls.instance

    def __init__(self, n):
        self.n = n


class Proxy:
    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __iter__(self):
        self.at = 0
        return self

    def __next__(self):
        self.at += 1
        if self.at > 3:
            raise StopIteration
        return self.at

    def __iadd__(self, other):
        self.inner = other
        return self


def attributes():
    t = Temperature()
    t.value = 4
    t.value += 1
    assert t.value == 5 and t.log == [4, 5] and t.doubled == 10 and t.slow == 3 and t.slow == 3 and t.log == [4, 5, "slow"]
    del t.value
    assert t.value is None
    for wrong in (lambda: setattr(t, "fixed", 1), lambda: t.missing):
        try:
            wrong()
        except AttributeError:
            continue
        raise AssertionError("a property without a setter")
    assert Checked(3).size == 3
    try:
        Checked(0)
        raise AssertionError("it is not positive")
    except ValueError:
        pass
    assert Plugin.known == {"First": First, "two": Second} and Single(1) is Single(2) and Single(3).n == 3
    space = SimpleNamespace(w=4, inner=SimpleNamespace(d=2))
    space.extra = space.w + space.inner.d
    assert space.extra == 6 and space == SimpleNamespace(w=4, inner=SimpleNamespace(d=2), extra=6) and vars(space)["w"] == 4 and repr(SimpleNamespace(a=1)) == "namespace(a=1)"
    space.__dict__.update(w=7, new=1)
    assert space.w == 7 and space.new == 1 and "new" in vars(space) and sorted(space.__dict__)[0] == "extra"
    vars(space).pop("new")
    assert not hasattr(space, "new") and getattr(space, "w") == 7
    proxy = Proxy(space)
    assert proxy.w == 7 and not hasattr(proxy, "gone") and list(proxy) == [1, 2, 3] and sum(proxy) == 6 and hasattr(proxy, "extra")
    proxy += SimpleNamespace(w=1)
    assert proxy.w == 1

    def counted(n):
        counted.calls += 1
        return n

    counted.calls = 0
    assert counted(1) + counted(2) == 3 and counted.calls == 2 and hash("a") == hash("a") and callable(proxy) is False


@functools.lru_cache(maxsize=None)
def slow_square(n, power=2):
    CALLS.append(n)
    return [n**power]


@functools.cache
def factorial(n):
    return n * factorial(n - 1) if n else 1


@functools.lru_cache
def bare(n):
    return n + 1


CALLS = []


def decorated():
    assert slow_square(3) is slow_square(3) and slow_square(3, power=3) == [27] and CALLS == [3, 3] and factorial(10) == 3628800 and bare(1) == 2
    slow_square.cache_clear()
    assert slow_square(3) == [9] and CALLS == [3, 3, 3] and slow_square.__name__ == "slow_square" and bare.__wrapped__(5) == 6

    def logged(level="info"):
        def decorate(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                inner.count += 1
                return function(*args, **kwargs)

            inner.count = 0
            inner.level = level
            return inner

        return decorate

    @logged("debug")
    def plus(a, b=1):
        "Adds."
        return a + b

    assert plus(1) == 2 and plus(1, b=5) == 6 and plus.count == 2 and plus.level == "debug" and plus.__name__ == "plus" and plus.__doc__ == "Adds."

    def add_method(cls):
        cls.extra = lambda self: self.n + 1
        return cls

    @add_method
    class Small:
        n = 4

    assert Small().extra() == 5 and Small.__doc__ is None and Base.__mro__[-1] is object


def widths(first, count):
    width = first
    for _ in range(count):
        yield width
        width *= 2


def layers_of(sizes):
    for a, b in zip(sizes, sizes[1:]):
        yield nn.Linear(a, b)
        yield nn.ReLU()
    yield from (nn.Tanh() for _ in range(2))


def generators():
    assert list(widths(4, 3)) == [4, 8, 16] and sum(widths(1, 4)) == 15 and next(widths(7, 1)) == 7
    net = nn.Sequential(*layers_of([2, 3, 4]))
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear", "ReLU", "Tanh", "Tanh"] and net[2].in_features == 3
    first, *rest = widths(1, 3)
    assert first == 1 and rest == [2, 4] and [w for w in widths(2, 2)] == [2, 4] and dict(enumerate(widths(5, 1))) == {0: 5}

    def nothing():
        return
        yield

    assert list(nothing()) == []


def described(value):
    match value:
        case None:
            return "none"
        case True | False:
            return "flag"
        case 0:
            return "zero"
        case int(n) if n < 0:
            return f"negative {n}"
        case int() | float():
            return "number"
        case "relu" | "gelu" as name:
            return "act " + name
        case str():
            return "text"
        case []:
            return "empty"
        case [one]:
            return f"one {one}"
        case [first, *rest]:
            return f"{first} and {len(rest)}"
        case {"type": "conv", "width": width, **rest}:
            return f"conv {width} {sorted(rest)}"
        case Point(x=0, y=y):
            return f"on axis {y}"
        case Frozen(w, ks):
            return f"frozen {w}"
        case nn.Linear(in_features=n):
            return f"linear {n}"
        case nn.Module():
            return "module"
        case Kind.SMALL:
            return "small"
        case _:
            return "other"


def matching():
    table = [
        (None, "none"), (True, "flag"), (0, "zero"), (-3, "negative -3"), (2.5, "number"), ("gelu", "act gelu"), ("x", "text"), ([], "empty"), ([1], "one 1"),
        ((1, 2, 3), "1 and 2"), ({"type": "conv", "width": 3, "a": 1}, "conv 3 ['a']"), (Frozen(8), "frozen 8"), (nn.Linear(3, 1), "linear 3"), (nn.ReLU(), "module"),
        (Kind.SMALL, "small"), (Kind.LARGE, "other"), ({"type": "pool"}, "other"),
    ]  # fmt: skip
    for value, expected in table:
        assert described(value) == expected, (value, described(value))


def library():
    assert math.comb(5, 2) == 10 and list(itertools.accumulate([1, 2, 3])) == [1, 3, 6] and list(itertools.islice(range(9), 2, 8, 3)) == [2, 5] and list(itertools.islice([1, 2, 3], 2)) == [1, 2]
    assert list(itertools.combinations("abc", 2)) == [("a", "b"), ("a", "c"), ("b", "c")] and list(itertools.chain.from_iterable([[1], [2, 3]])) == [1, 2, 3]
    assert list(itertools.zip_longest([1, 2], "a", fillvalue="-")) == [(1, "a"), (2, "-")] and list(itertools.starmap(pow, [(2, 3), (3, 2)])) == [8, 9]
    assert (3).bit_length() == 2 and (2.0).is_integer() and not (2.5).is_integer() and "a_b_c".rpartition("_") == ("a_b", "_", "c") and "abcabc".rfind("b") == 4
    assert sorted([(1, "b"), (0, "c")], key=operator.itemgetter(1))[0] == (1, "b") and operator.attrgetter("in_features")(nn.Linear(2, 3)) == 2 and "{a}-{b}".format_map({"a": 1, "b": 2}) == "1-2"
    assert os.path.join("a", "b.pt") == "a/b.pt" and os.path.basename("a/b.pt") == "b.pt" and os.path.splitext("a/b.pt") == ("a/b", ".pt") and os.path.dirname("a/b.pt") == "a"
    assert sys.version_info >= (3, 8) and sys.version_info.major == 3 and sys.version_info[0] == 3 and isinstance(3, numbers.Number) and isinstance([1], Iterable) and not isinstance(3, Iterable)
    logger = logging.getLogger("model")
    logger.info("widths %s", [1, 2])
    warnings.warn("nothing")
    try:
        list(zip([1], [1, 2], strict=True))
        raise AssertionError("they differ in length")
    except ValueError:
        pass
    version = torch.__version__
    assert int(version.split(".")[0]) >= 2 and version >= "1.9" and version > (1, 13) and isinstance(version, str) and tuple(int(x) for x in version.split(".")[:2]) >= (1, 8)
    assert torch.device("cuda:1").index == 1 and torch.device("cpu").type == "cpu" and torch.device("cpu") == torch.device("cpu") and str(torch.device("cuda", 0)) == "cuda:0"
    assert isinstance(torch.device("cpu"), torch.device) and torch.zeros(1).device.type == "cpu" and sorted(torch.randperm(5).tolist()) == [0, 1, 2, 3, 4]
    width = 3
    assert locals()["width"] == 3 and "library" in globals() and eval("width + 1") == 4 and eval("nn.ReLU") is nn.ReLU and globals()["Kind"] is Kind


def wrapped_modules():
    net = nn.DataParallel(nn.Sequential(nn.Linear(2, 3)))
    assert [name for name, _ in net.named_parameters()] == ["module.0.weight", "module.0.bias"] and net.module[0].in_features == 2
    params = nn.ParameterDict({"a": nn.Parameter(torch.zeros(2)), "b": nn.Parameter(torch.ones(3))})
    assert list(params.keys()) == ["a", "b"] and params["b"].shape == (3,) and len(params) == 2 and "a" in params and [n for n, _ in params.named_parameters()] == ["a", "b"]
    block = nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.ReLU()))
    assert list(block._modules) == ["a", "b"] and block._modules["a"] is block.a and "weight" in block.a._parameters and [k for k, v in block._modules.items()] == ["a", "b"]
    block._modules["b"] = nn.Tanh()
    assert isinstance(block[1], nn.Tanh) and len(block) == 2
    seen = []
    handle = block.a.register_forward_hook(lambda module, args, result: seen.append(tuple(result.shape)))
    before = block.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    doubled = block.a.register_forward_hook(lambda module, args, result: result + 1)
    block(torch.zeros(1, 2))
    assert seen == [(1, 2)]
    handle.remove()
    before.remove()
    doubled.remove()
    block(torch.zeros(1, 2))
    assert seen == [(1, 2)]
    picture = torch.zeros(3, 8, 8)
    assert nn.Conv2d(3, 4, 3)(picture).shape == (4, 6, 6) and nn.MaxPool2d(2)(picture).shape == (3, 4, 4) and nn.AdaptiveAvgPool2d(1)(picture).shape == (3, 1, 1)
    assert nn.Conv1d(3, 4, 3)(torch.zeros(3, 8)).shape == (4, 6) and nn.ConvTranspose2d(3, 2, 2, 2)(picture).shape == (2, 16, 16) and nn.Conv3d(1, 2, 1)(torch.zeros(1, 2, 2, 2)).shape == (2, 2, 2, 2)


def counts():
    words = Counter("the cat and the dog and the end".split())
    assert words["the"] == 3 and words["bird"] == 0 and len(words) == 5 and "bird" not in words
    assert words.most_common(2) == [("the", 3), ("and", 2)] and sum(words.values()) == 8 == words.total()
    words.update(["cat"], dog=2)
    assert words["cat"] == 2 and words["dog"] == 3 and isinstance(words, dict)
    assert Counter({"a": 2}) == {"a": 2} and list(Counter(a=2, b=1).elements()) == ["a", "a", "b"]
    assert string.ascii_letters == string.ascii_lowercase + string.ascii_uppercase and string.digits == "0123456789"
    assert len(string.punctuation) == 32 and len(string.printable) == 100 and string.whitespace == " \t\n\r\x0b\x0c"


THEMES = [
    integers, floats, booleans, strings, formats, lists, tuples, dicts, sets, comprehensions, functions, flow, shifts, classes, data_classes, iterators, copies, modules, enumerations, named_tuples, data_classes_in_full, subclasses_of_types, attributes, decorated, generators, matching, library, counts, wrapped_modules,
]  # fmt: skip


def language():
    for theme in THEMES:
        theme()
    return nn.Sequential(nn.Linear(1, 1))


if __name__ == "__main__":
    language()
