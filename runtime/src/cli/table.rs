//! A table for people, with the column widths of runc's `list`: every column but the last is as wide as its widest
//! cell and three blanks, and at least twelve. Pure.

const LEAST: usize = 12;
const GAP: usize = 3;

/// Rows of cells as lines of text.
pub(crate) fn lines<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [LEAST; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + GAP);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (column, (width, cell)) in widths.iter().zip(row).enumerate() {
            text.push_str(cell);
            if column + 1 < N {
                let blanks = width.saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn narrow_columns_are_twelve_wide() {
        assert_eq!(lines(&[row(["ID", "PID", "OWNER"])]), "ID          PID         OWNER\n");
    }

    #[test]
    fn a_wide_cell_moves_the_column() {
        let rows = [
            row(["ID", "PID", "OWNER"]),
            row(["a-long-container", "1", "root"]),
            row(["größer-als", "", ""]),
        ];
        assert_eq!(
            lines(&rows),
            "ID                 PID         OWNER\n\
             a-long-container   1           root\n\
             größer-als                     \n"
        );
    }
}
