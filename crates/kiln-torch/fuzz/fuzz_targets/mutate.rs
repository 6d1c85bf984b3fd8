//! Changes to texts that leave most of their grammar in place.

use libfuzzer_sys::fuzzer_mutate;

/// Numbers at which something may go wrong.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "5",
    "7",
    "8",
    "16",
    "17",
    "64",
    "1000",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1000000000000",
    "4611686018427387904",
    "9223372036854775807",
    "-9223372036854775807",
    "(-9223372036854775807 - 1)",
    "0.5",
    "-0.0",
    "1e30",
    "1e-30",
    "1e308",
    "float('nan')",
    "float('inf')",
    "-float('inf')",
    "None",
    "True",
    "False",
    "()",
    "(1, 2)",
    "(0, 0)",
    "(-1, -1)",
    "[]",
    "''",
    "'same'",
    "x",
    "self",
    "x.size(0)",
    "x.shape",
    "x.shape[-1]",
    "-x.size(0)",
];

/// Statements that are worth having anywhere.
const LINES: &[&str] = &[
    "x = x.view(x.size(0), -1)",
    "x = x.reshape(-1, 8)",
    "x = torch.cat([x, x], 1)",
    "x = x[:, ::2]",
    "x = x.permute(0, 2, 3, 1)",
    "x = x.transpose(1, 2)",
    "x = F.relu(x)",
    "x = F.max_pool2d(x, 2)",
    "x = x + x",
    "x += 1",
    "x = x.mean([2, 3])",
    "x = x.flatten(1)",
    "a = [a]",
    "a.append(a)",
    "d = {}",
    "d[a] = d",
    "s += s",
    "self.a = self",
    "self.b = nn.Conv2d(3, 3, 1)",
    "self.c = nn.Sequential(self.b, self.b)",
    "return x",
    "pass",
    "break",
    "continue",
    "a = a + a",
    "a = (a, a)",
    "b = str(a)",
    "c = a == b",
    "x = torch.stack([x, x])",
    "x = F.interpolate(x, scale_factor=2)",
    "x = F.pad(x, (1, 1, 1, 1))",
    "x, y = x.chunk(2, 1)",
    "del a",
    "a = copy.deepcopy(a)",
    "a = f'{a!r:>10}'",
    "a = '{:>10}'.format(a)",
    "print(a)",
    "a = sorted(a)",
    "global a",
    "x = x.unsqueeze(1)",
    "x = x.squeeze()",
    "x = x.sum(-1, keepdim=True)",
    "x = x * x.size(0)",
    "d.move_to_end(0, last=d)",
    "a = '{0[0].a!r:{1}}'.format(a, 9)",
    "a = set(a) ^ {a, 1}",
    "a.sort(key=len)",
    "a[::2] = a",
    "a = 'x'.join(map(str, a)).strip('ab').ljust(9, 'é').split('x', 1)",
    "x[:, 1:, ::2] = x[:, :1, 1]",
    "x[x > 0] = 0.5",
    "y = x.view(x.size(0), -1); y += 1",
    "a = round(1.25, 9) + int('7', 8)",
    "with torch.no_grad(): pass",
    "with torch.no_grad(): x = self.b(x); x[:, 0] += 1",
    "x = x.detach().view(x.shape)",
    "self.eval(); self.train(a)",
    "w = self.a.weight.data[0].T; w.fill_(1); self.a.weight = nn.Parameter(w)",
    "raise ValueError(a)",
    "x = x.expand(-1, 4, -1, -1)",
    "x = self.b(x)",
    "x = x @ x",
    "x[:, 0] = 1",
    "x = x / x.size(-1)",
];

/// Numbers without a pattern (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.get(self.below(words.len())).copied().unwrap_or_default()
    }
}

/// Changes `data[..size]` and gives its new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random((u64::from(seed) << 1) | 1 << 40);
    random.below(2);
    if random.below(4) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let Ok(text) = std::str::from_utf8(&data[..size]) else { return fuzzer_mutate(data, size, max_size) };
    let mut text = text.to_owned();
    for _ in 0..=random.below(3) {
        text = changed(&text, &mut random);
    }
    let mut end = text.len().min(max_size);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    data[..end].copy_from_slice(&text.as_bytes()[..end]);
    end
}

fn changed(text: &str, random: &mut Random) -> String {
    if random.below(2) == 0 { lines(text, random) } else { words(text, random) }
}

/// Lines move, go and come.
fn lines(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push(String::new());
    }
    let (at, other) = (random.below(lines.len()), random.below(lines.len()));
    let indent: String = lines[at].chars().take_while(|c| *c == ' ').collect();
    match random.below(7) {
        0 => drop(lines.remove(at)),
        1 => lines.swap(at, other),
        2 => lines.insert(at, lines[other].clone()),
        3 => lines.insert(at, format!("{indent}{}", lines[other].trim_start())),
        4 => lines[at] = format!("    {}", lines[at]),
        _ => lines.insert(at, format!("{indent}{}", random.one_of(LINES))),
    }
    lines.join("\n") + "\n"
}

/// A word is replaced: by another one of the text, or a number.
fn words(text: &str, random: &mut Random) -> String {
    let words = tokens(text);
    if words.is_empty() {
        return text.to_owned();
    }
    let (at, other) = (words[random.below(words.len())], words[random.below(words.len())]);
    let numbers: Vec<(usize, usize)> =
        words.iter().copied().filter(|(start, _)| text.as_bytes()[*start].is_ascii_digit()).collect();
    let number = numbers.get(random.below(numbers.len())).copied().unwrap_or(at);
    let (place, word) = match random.below(5) {
        0 => (at, &text[other.0..other.1]),
        1 => (at, random.one_of(NUMBERS)),
        2 => (at, ""),
        _ => (number, random.one_of(NUMBERS)),
    };
    format!("{}{word}{}", &text[..place.0], &text[place.1..])
}

/// Where words, numbers and signs are.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found: Vec<(usize, usize)> = vec![];
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match found.last_mut() {
            Some(last) if is_word(c) && is_word(before) => last.1 = end,
            _ if c.is_whitespace() => {}
            _ => found.push((at, end)),
        }
        before = c;
    }
    found
}
