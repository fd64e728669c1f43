//! Tables of text: aligned for a terminal, and as Markdown.

/// Rows of as many cells as there are headings.
#[derive(Debug)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(headings: Vec<String>) -> Self {
        Self { headings, rows: Vec::new() }
    }

    pub fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.headings.len(), "every column has a heading");
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Columns as wide as their widest cell.
    pub fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.headings.len()).map(|column| self.width(column)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        self.lines().map(line).collect()
    }

    pub fn markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let rule = format!("|{}\n", "---|".repeat(self.headings.len()));
        let mut lines = self.lines().map(line);
        lines.next().into_iter().chain([rule]).chain(lines).collect()
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.headings).chain(&self.rows)
    }

    fn width(&self, column: usize) -> usize {
        self.lines().map(|row| row[column].chars().count()).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_all_cells() {
        let mut table = Table::new(vec!["server".into(), "µs".into()]);
        table.push(vec!["bun".into(), "1.5".into()]);
        assert_eq!(table.text(), "server  µs\nbun     1.5\n");
        assert_eq!(table.markdown(), "| server | µs |\n|---|---|\n| bun | 1.5 |\n");
    }
}
