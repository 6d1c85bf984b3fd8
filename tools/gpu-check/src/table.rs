//! The figures as tables: a line for each kernel, or one for each family and tile, as `benches/README.md` has them.

use crate::assembly::Counts;
use crate::dump::Kernel;
use crate::measure::Measured;
use crate::name;

/// Longer names are cut.
const NAME_WIDTH: usize = 42;

/// A kernel with its figures.
pub struct Row<'a> {
    pub kernel: &'a Kernel,
    pub measured: Measured,
    /// Stands before the name of a kernel that misses a limit.
    pub mark: char,
}

/// A line for each kernel. Dumps are letters, which the first lines explain.
pub fn all(rows: &[Row], dumps: &[String]) -> String {
    let mut text = String::new();
    for (number, dump) in dumps.iter().enumerate() {
        text += &format!("{} {dump}\n", letter(number));
    }
    text += "\nmadd: multiply-adds, of the vector instructions; behind |: instructions of a turn of the inner loop\n";
    let width = dumps.len().max(2);
    text += &format!(
        "\n  {:NAME_WIDTH$} {:width$} VGPR waves   LDS spill  madd | madd other  lds  mem scalar\n",
        "kernel", "in"
    );
    for Row { kernel, measured, mark } in rows {
        let name: String = kernel.name.chars().take(NAME_WIDTH).collect();
        let letters: String = kernel.dumps.iter().map(|dump| letter(*dump)).collect();
        text += &format!(
            "{mark} {name:NAME_WIDTH$} {letters:width$} {:4} {:5} {:5} {:5} {}\n",
            measured.vgprs,
            measured.waves,
            measured.lds,
            measured.spilled_vgprs + measured.spilled_sgprs,
            counts(measured.inner_loop)
        );
    }
    text
}

fn counts(inner_loop: Option<Counts>) -> String {
    let Some(counts) = inner_loop else { return "    - |".to_owned() };
    let share = counts.share().map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share));
    format!(
        "{share:>5} | {:4} {:5} {:4} {:4} {:6}",
        counts.multiply_adds, counts.other_vector, counts.lds, counts.memory, counts.scalar
    )
}

fn letter(dump: usize) -> char {
    u8::try_from(dump).ok().and_then(|n| b'a'.checked_add(n)).map_or('?', char::from)
}

/// A line of Markdown for each family and tile.
pub fn families(rows: &[Row]) -> String {
    let mut names: Vec<String> = rows.iter().map(|row| name::family(&row.kernel.name)).collect();
    names.sort();
    names.dedup();
    let mut text = "| kernels | number | VGPRs | waves per SIMD | LDS, bytes | spills | multiply-adds |\n\
                    | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for family in names {
        let of_family = rows.iter().filter(|row| name::family(&row.kernel.name) == family);
        let measured: Vec<Measured> = of_family.map(|row| row.measured).collect();
        let shares = measured.iter().filter_map(|m| m.inner_loop.and_then(|counts| counts.share()));
        let percents: Vec<u64> = shares.map(|share| (100.0 * share).round() as u64).collect();
        let share = if percents.is_empty() { String::new() } else { format!("{} %", range(&percents)) };
        let figures = |figure: fn(&Measured) -> u64| range(&measured.iter().map(figure).collect::<Vec<_>>());
        text += &format!(
            "| {family} | {} | {} | {} | {} | {} | {share} |\n",
            measured.len(),
            figures(|m| m.vgprs),
            figures(|m| m.waves),
            figures(|m| m.lds),
            figures(|m| m.spilled_vgprs + m.spilled_sgprs),
        );
    }
    text
}

fn range(figures: &[u64]) -> String {
    let least = figures.iter().min().copied().unwrap_or(0);
    let most = figures.iter().max().copied().unwrap_or(0);
    if least == most { least.to_string() } else { format!("{least} to {most}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str) -> Kernel {
        Kernel { name: name.to_owned(), wgsl: String::new(), dumps: vec![0, 2] }
    }

    #[test]
    fn tables_fit_on_a_screen() {
        let counts = Counts { multiply_adds: 512, other_vector: 88, lds: 57, memory: 3, scalar: 93 };
        let measured =
            Measured { vgprs: 80, waves: 12, lds: 12800, inner_loop: Some(counts), ..Default::default() };
        let (long, copy) = (kernel(&"conv_128x64x16_".repeat(9)), kernel("copy"));
        let rows = [
            Row { kernel: &long, measured, mark: '!' },
            Row { kernel: &copy, measured: Measured::default(), mark: ' ' },
        ];
        let text = all(&rows, &["resnet18-1".to_owned(), "net".to_owned(), "vgg".to_owned()]);
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
        assert!(text.contains("ac    80    12 12800     0  85 % |  512    88   57    3     93"), "{text}");

        let table = families(&rows);
        assert!(table.contains("| conv_128x64x16 | 1 | 80 | 12 | 12800 | 0 | 85 % |"), "{table}");
        assert!(table.contains("| copy | 1 | 0 | 0 | 0 | 0 |  |"), "{table}");
        assert_eq!(range(&[3, 1, 2]), "1 to 3");
    }
}
