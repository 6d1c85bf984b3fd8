//! Programs that mean harm: none of them makes the importer panic, hang or fill the memory.
//!
//! `fuzz/` looks for more of them.

use std::path::Path;
use std::time::{Duration, Instant};

use kiln_torch::{ImportOptions, Limits, import_text};

const HEAD: &str = "import copy, functools, torch\nfrom torch import nn\nimport torch.nn.functional as F\n";

/// What is said about a program; nothing if it is a model.
fn said(program: &str, limits: Limits) -> String {
    let options = ImportOptions { inputs: vec!["3,16,16".into()], limits, ..ImportOptions::default() };
    let begin = Instant::now();
    let result =
        import_text(&format!("{HEAD}{program}"), Path::new("there/is/no/such/folder/net.py"), &options);
    assert!(begin.elapsed() < Duration::from_secs(60), "{program} takes {:?}", begin.elapsed());
    match result {
        Ok(model) => {
            model.graph.verify().expect("it is valid");
            String::new()
        }
        Err(error) => {
            assert!(error.report().len() < 20_000, "{program}");
            assert!(!error.message.contains("Kiln itself"), "{program}");
            error.to_string()
        }
    }
}

/// Limits that are met quickly, where a program is after all that there is.
fn few() -> Limits {
    Limits { steps: 300_000, cells: 600_000, elements: 1 << 22, nodes: 5000, ..Limits::default() }
}

fn check(limits: Limits, programs: &[(&str, &str)]) {
    for (program, word) in programs {
        let said = said(program, limits);
        assert!(said.contains(word), "{program}\n\n{said}");
    }
}

/// A module with a constructor and a forward pass.
fn net(init: &str, forward: &str) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("        {line}\n")).collect::<String>();
    format!(
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n{}    def forward(self, x):\n{}",
        indented(init),
        indented(forward)
    )
}

#[test]
fn what_never_ends_is_stopped() {
    let many_classes: String = (0..10_000).map(|i| format!("class A{i}(nn.Module):\n    pass\n")).collect();
    let many_hints = "# kiln: --input 3\n".repeat(50_000) + "m = nn.Sequential(nn.ReLU())\n";
    let names: String = (0..5000).map(|i| format!(", a{i}")).collect();
    let many_names = format!("def f():\n    global a{names}\nwhile True:\n    f()\n");
    check(
        few(),
        &[
            ("while True:\n    pass\n", "steps"),
            ("def f():\n    return f()\nf()\n", "calls are nested"),
            ("class A:\n    def __getitem__(self, k):\n        return self[k]\nA()[0]\n", "calls are nested"),
            ("class A:\n    @property\n    def a(self):\n        return self.a\nA().a\n", "calls are nested"),
            ("class A:\n    def __iter__(self):\n        return self\nlist(A())\n", "nested"),
            (
                "class A:\n    def __len__(self):\n        return len(self)\nbool(A())\nlen(A())\n",
                "calls are nested",
            ),
            (&many_classes, "several models"),
            (&many_hints, "comments for Kiln"),
            (&many_names, "steps"),
            ("f = functools.partial(print)\nwhile True:\n    f = functools.partial(f)\n", "steps"),
        ],
    );
}

#[test]
fn work_is_counted() {
    // Each line is cheap for the program and was dear for the importer.
    let dear = [
        ("s = 'a' * 200000", "s.lower()"),
        ("s = 'a' * 200000\nt = 'a' * 200000", "s == t"),
        ("s = 'a' * 200000\nt = 'a' * 200000", "s < t"),
        ("s = 'a' * 200000", "'b' in s"),
        ("s = 'a' * 200000\nd = {}", "s in d"),
        ("a = [0] * 200000\nb = [1] * 200000", "a == b"),
        ("a = [0] * 200000\nb = [1] * 200000", "a < b"),
        ("a = [0] * 200000", "a[0:0] = [1]"),
        ("a = [0] * 200000", "del a[0]"),
        ("a = [0] * 200000", "a[::2] = []"),
        ("s = 'a' * 100000\nt = 'b' * 100000 + 'a'", "s.strip(t)"),
        ("s = 'a' * 100000\na = [''] * 1000", "s.join(a)"),
        ("a = (0,) * 200000", "'' % a"),
        ("a = (int,) * 200000", "isinstance('a', a)"),
        ("a = ('b',) * 200000", "'a'.startswith(a)"),
        ("a = [0] * 200000", "nn.Conv2d(1, 1, a)"),
        ("d = {i: 0 for i in range(20000)}\ne = {**d, 0: 1}", "d == e"),
        ("d = {i: 0 for i in range(20000)}\nd[0] = 1", "d.pop(1)"),
        ("s = nn.ModuleList()\nfor i in range(500):\n    s.append(nn.ReLU())", "len(s)"),
        ("p = nn.Parameter(torch.zeros(100000))", "p.sum()"),
        ("p = torch.zeros(500)", "p.cumsum(0)"),
        ("p = torch.zeros(1, 1, 200, 200)", "F.max_pool2d(p, 100, 1)"),
        ("p = torch.zeros(64, 64)", "p @ p"),
        ("f = functools.partial(print, *range(5000))", "f()"),
    ];
    for (before, line) in dear {
        let program =
            format!("{before}\nwhile True:\n    try:\n        {line}\n    except Exception:\n        pass\n");
        let said = said(&program, few());
        assert!(said.contains("more than"), "{program}\n\n{said}");
    }
}

#[test]
fn large_numbers_are_refused_or_mean_nothing() {
    let least = "(-9223372036854775807 - 1)";
    let large = ["9223372036854775807", "-9223372036854775807", least, "10**18", "4294967296", "1000000"];
    for n in large {
        for (init, forward) in [
            ("self.l = nn.Conv2d(3, 4, 3, padding=?)", "return self.l(x)"),
            ("self.l = nn.Conv2d(3, 4, 3, dilation=?)", "return self.l(x)"),
            ("self.l = nn.Conv2d(3, 4, 3, stride=?)", "return self.l(x)"),
            ("self.l = nn.Conv2d(3, ?, 3)", "return self.l(x)"),
            ("self.l = nn.Conv2d(3, 4, ?)", "return self.l(x)"),
            ("self.l = nn.Conv2d(3, 4, 2, dilation=?, padding='same')", "return self.l(x)"),
            ("self.l = nn.ConvTranspose2d(3, 4, 3, stride=?, output_padding=?)", "return self.l(x)"),
            ("self.l = nn.ConvTranspose2d(3, 4, 3, padding=?, dilation=?)", "return self.l(x)"),
            ("pass", "return F.max_pool2d(x, ?, ?, ?, ?, True)"),
            ("pass", "return F.avg_pool2d(x, 3, ?, 1)"),
            ("pass", "return F.adaptive_avg_pool2d(x, ?)"),
            ("pass", "return F.interpolate(x, scale_factor=?)"),
            ("pass", "return F.interpolate(x, size=?)"),
            ("pass", "return F.pad(x, (?, ?))"),
            ("pass", "return F.local_response_norm(x, ?)"),
            ("pass", "return F.one_hot(x.long(), ?)"),
            ("pass", "return x.view(x.size(0), ?)"),
            ("pass", "return x[:, ?:] + x[?] + x[..., ::?]"),
            ("pass", "return x.repeat(?, ?, ?, ?)"),
            ("pass", "return x.roll(?, 2)"),
            ("pass", "return x.narrow(2, ?, ?)"),
            ("pass", "return x.chunk(?, 1)"),
            ("pass", "return x * ((x.size(0) * ?) // -1)"),
            ("pass", "return x * (-(x.size(0) * ?) - ?)"),
            ("pass", "return x.transpose(?, 0)"),
            ("pass", "return x.sum() + torch.ones(0, 3, 3, ?).sum(1) + torch.zeros(?, 0).t()"),
            ("self.a = torch.ones(0, ?).expand(?, 0, ?).sum(0)", "return x + self.a.sum()"),
            ("self.a = [0] * ?", "return x"),
            ("self.a = 'a' * ?", "return x"),
            ("self.a = [list(range(?)), range(?)[?], len(range(?, ?))]", "return x"),
            ("self.a = [1, 2, 3][?:?:?]", "return x"),
            ("self.a = list(enumerate([1, 2], ?))", "return x"),
            ("self.a = f'{1:{?}}'", "return x"),
            ("self.a = ? // -1 + ? % -1 + abs(?) + 2 ** ?", "return x"),
            ("self.a = torch.zeros(?, ?, 0) + torch.ones(?)", "return x"),
            ("self.a = torch.arange(?, ?) + torch.arange(?) + torch.eye(?)", "return x"),
            ("self.a = torch.zeros(3)[?]", "return x"),
            ("self.a = nn.LayerNorm([?, ?, ?])", "return x"),
            ("self.a = nn.Embedding(?, 4)", "return x"),
            ("p = nn.Parameter(torch.zeros(0))\nnn.init.orthogonal_(p)\nself.a = p.view(0, ?)", "return x"),
        ] {
            said(&net(&init.replace('?', n), &forward.replace('?', n)), few());
        }
    }
}

#[test]
fn odd_arguments_are_refused() {
    let net = net("pass", "return x");
    let deep = format!("# kiln: --arg a={}\n{net}", "(".repeat(100_000));
    let many: String = (0..2000).map(|i| format!(" --arg a{i}=1")).collect();
    let many = format!("# kiln:{many}\n{net}");
    check(
        few(),
        &[
            (&deep, "longer than"),
            (&many, "more than 1000 arguments"),
            ("m = nn.ReLU(print('{0[1]\u{e9}}'.format([1, 2])))\n", "after a `]`"),
            ("m = nn.ReLU(print('x'.ljust(1000, 'a' * 1000)))\n", "one character"),
            ("d = {1: 2}\nm = nn.ReLU(d.move_to_end(1, last=(d,)))\n", "`last` should be"),
        ],
    );
}

#[test]
fn memory_has_a_limit() {
    let body = "x;".repeat(5000);
    check(
        few(),
        &[
            ("t = (1,) * 100\nfor i in range(7):\n    t = (t,) * 100\nd = {t: 1}\n", "elements"),
            (
                "s = 'a' * 100000\nl = []\nwhile True:\n    try:\n        [].a + s\n        raise ValueError(s)\n    except Exception as e:\n        l.append(e)\n",
                "more than",
            ),
            ("s = 'a'\nwhile True:\n    s += s\n", "elements"),
            ("a = []\nwhile True:\n    a += a + [1]\n", "elements"),
            ("class A: pass\nwhile True:\n    class A(A):\n        pass\n", "derives from more than"),
            ("a = []\nwhile True:\n    a.append(torch.zeros(100000))\n", "elements in its parameters"),
            (&format!("a = []\nwhile True:\n    def f():\n        {body}pass\n    a.append(f)\n"), "steps"),
            (&net("setattr(self, 'a' * 2000, nn.ReLU())", "return x"), "longer than 1000"),
            (
                &net(
                    "self.p = nn.Parameter(torch.zeros(1))\nself.a = nn.ReLU()",
                    "while True:\n    x = self.a(x)",
                ),
                "nodes",
            ),
            (&net("pass", "while True:\n    x = x[:, :, None]"), "dimensions"),
        ],
    );
}

#[test]
fn what_is_nested_without_end_is_refused() {
    let deep = |open: &str, close: &str| format!("a = {}1{}\n", open.repeat(50_000), close.repeat(50_000));
    for program in [
        deep("(", ")"),
        deep("[", "]"),
        deep("{1:", "}"),
        deep("-", ""),
        deep("not ", ""),
        deep("lambda: ", ""),
    ] {
        assert!(!said(&program, few()).is_empty());
    }
    // As deep as is allowed, and brackets that are none.
    for program in
        ["-".repeat(15_000), "not ".repeat(15_000), "lambda: ".repeat(5_000), "1 if 1 else ".repeat(3_000)]
    {
        assert_eq!(said(&format!("a = {program}1\nm = nn.Sequential(nn.ReLU())\n"), few()), "");
    }
    let comments = "# :(\n".repeat(30_000);
    let smileys = comments + "x = '(((('\ny = f'[[['\nm = nn.Sequential(nn.ReLU())\n";
    assert_eq!(said(&smileys, few()), "");
    assert!(!said(&format!("a = 1{}\n", ".a".repeat(50_000)), few()).is_empty());
    assert!(!said(&format!("a = 1{}\n", "+1".repeat(50_000)), few()).is_empty());
    check(
        few(),
        &[
            (&net("self.a = nn.ReLU()\nself.b = self", "return x"), "is one in itself"),
            (
                &net("self.a = nn.ModuleList([nn.ReLU()])\nself.a.append(self.a)", "return x"),
                "is one in itself",
            ),
            ("a = nn.ReLU()\nfor i in range(60):\n    a = nn.Sequential(a, a)\n", "elements"),
            (
                "a = [1]\na.append(a)\nb = [1]\nb.append(b)\nprint(str(a), repr(a), f'{a}')\nc = a == b\n",
                "nested",
            ),
            ("a = {}\na['a'] = a\ncopy.deepcopy(a)\n", ""),
            (
                "t = (KeyError,)\nfor i in range(30000):\n    t = (t,)\ntry:\n    1 // 0\nexcept t:\n    pass\n",
                "nested",
            ),
            (&net("pass", "a = x\nfor i in range(20000):\n    a = [a]\nreturn a"), "returns a list"),
            // Expressions over sizes.
            (&net("pass", "s = x.size(0) + 1\nfor i in range(200):\n    s = s * s\nreturn x * s"), ""),
            (&net("pass", "s = x.size(0)\nfor i in range(20000):\n    s = (s * s + 1) // 2\nreturn x"), ""),
        ],
    );
}

#[test]
fn what_is_nested_as_deep_as_can_be_is_freed() {
    let (open, close) = ("[".repeat(150), "]".repeat(150));
    for pair in
        [(&*open, &*close), (&"(".repeat(150), &",)".repeat(150)), (&"{1:".repeat(100), &"}".repeat(100))]
    {
        let program = format!("a = 0\nwhile True:\n    a = {}a{}\n", pair.0, pair.1);
        assert!(said(&program, Limits::default()).contains("more than"));
    }
}

#[test]
fn nothing_stays_in_memory() {
    // What holds itself is freed, too: a class and its methods, a list in itself, a module that knows its parent.
    let program = net(
        "a = ['a' * 100000]\na.append(a)\nb = {}\nb[0] = [a, b]\nself.l = lambda: self\nself.a = nn.ReLU()\nobject.__setattr__ if 0 else None",
        "return self.a(x)",
    );
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
    };
    assert_eq!(said(&program, few()), "");
    let before = resident();
    (0..300).for_each(|_| drop(said(&program, few())));
    let after = resident();
    assert!(after < before + 20_000_000, "{before} bytes have become {after}");
}
