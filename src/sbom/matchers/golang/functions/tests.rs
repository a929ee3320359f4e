use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// How a made-up table is made.
#[derive(Debug, Clone, Copy)]
struct TableShape {
    magic: u32,
    wide: bool,
    big_endian: bool,
}

impl TableShape {
    const ALL: [Self; 4] = [
        Self { magic: 0xffff_fffa, wide: true, big_endian: false },
        Self { magic: 0xffff_fff0, wide: false, big_endian: false },
        Self { magic: 0xffff_fff0, wide: true, big_endian: true },
        Self { magic: 0xffff_fff1, wide: true, big_endian: false },
    ];

    fn bytes(self, value: u64, length: usize) -> Vec<u8> {
        let little = value.to_le_bytes()[..length].to_vec();
        if self.big_endian { little.into_iter().rev().collect() } else { little }
    }

    /// A table with these names, as Go's linker lays it out.
    fn table(self, names: &[&str]) -> Vec<u8> {
        let size = if self.wide { 8 } else { 4 };
        let names = names.iter().map(|name| format!("{name}\0")).collect::<String>();
        let has_text = self.magic != 0xffff_fffa;
        let words = if has_text { 8 } else { 7 };
        let start = (8 + words * size) as u64;
        let end = start + names.len() as u64;
        let mut values = vec![3, 1];
        values.extend(has_text.then_some(0x40_0000));
        values.extend([start, end, end + 4, end + 8, end + 12]);
        let mut table = self.bytes(self.magic.into(), 4);
        table.extend([0, 0, 1, size as u8]);
        table.extend(values.iter().flat_map(|value| self.bytes(*value, size)));
        table.extend(names.as_bytes());
        table.extend([7; 16]);
        table.resize(table.len().max(HEADER + MOST_WORDS * WIDEST), 7);
        table
    }
}

const NAMES: [&str; 4] =
    ["runtime.main", "main.main", "golang.org/x/crypto/ssh.(*Client).Dial", "_rt0_amd64_linux"];
const PACKAGES: [&str; 3] = ["golang.org/x/crypto/ssh", "main", "runtime"];

fn marked(at: u64) -> ExecutableLayout {
    let mut layout = ExecutableLayout::default();
    layout.functions.push(at..at + 1);
    layout
}

fn read(file: &[u8], layout: &ExecutableLayout) -> Option<Vec<String>> {
    let found = linked(&mut Cursor::new(file), layout).unwrap();
    found.map(|found| found.into_iter().collect())
}

fn some(paths: &[&str]) -> Option<Vec<String>> {
    Some(paths.iter().map(ToString::to_string).collect())
}

#[test]
fn a_table_of_every_shape_tells_the_packages() {
    for shape in TableShape::ALL {
        let file = [vec![1; 100], shape.table(&NAMES)].concat();
        assert_eq!(read(&file, &marked(100)), some(&PACKAGES), "{shape:?}");
        assert_eq!(read(&file, &marked(99)), None);
        // A table that is cut tells nothing.
        assert_eq!(read(&file[..210], &marked(100)), None);
    }
}

#[test]
fn a_table_that_nothing_marks_is_looked_for_and_what_looks_like_one_is_passed() {
    let [.., shape] = TableShape::ALL;
    let decoy = shape.table(&["other.F"]);
    let file = [vec![0xff; 3 * WINDOW - 3], decoy, vec![0xff; 70], shape.table(&NAMES)].concat();
    let mut layout = ExecutableLayout::default();
    assert_eq!(read(&file, &layout), None);
    layout.add_loaded(0x40_0000, 0..file.len() as u64, true);
    assert_eq!(read(&file, &layout), some(&PACKAGES));
}

#[test]
fn names_without_the_runtime_or_of_an_older_go_tell_nothing() {
    let [.., shape] = TableShape::ALL;
    assert_eq!(read(&shape.table(&NAMES[1..]), &marked(0)), None);
    let older = TableShape { magic: 0xffff_fffb, ..shape };
    assert_eq!(read(&older.table(&NAMES), &marked(0)), None);
    assert_eq!(read(&shape.table(&[]), &marked(0)), None);
}

#[test]
fn no_table_fills_the_memory() {
    let [.., shape] = TableShape::ALL;
    let names: Vec<String> = (0..=MOST_PACKAGES).map(|at| format!("a{at}.F")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("runtime.main");
    assert_eq!(read(&shape.table(&names), &marked(0)), None);
    let long = "a".repeat(LONGEST_NAME as usize + 1);
    assert_eq!(read(&shape.table(&[&long, "runtime.main"]), &marked(0)), None);
    let mut endless = shape.table(&NAMES);
    endless[8 + 4 * 8..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(read(&endless, &marked(0)), None);
}

#[test]
fn a_name_tells_its_package() {
    let check = |name: &str, expected: &[&str]| {
        let found: Vec<String> = paths(name).map(unescaped).collect();
        assert_eq!(found, expected, "{name}");
    };
    check("fmt.Println", &["fmt"]);
    check("net/http.(*Server).Serve.func1", &["net/http"]);
    check("golang.org/x/crypto/ssh.Dial", &["golang.org/x/crypto/ssh"]);
    check("gopkg.in/yaml%2ev3.Unmarshal", &["gopkg.in/yaml.v3"]);
    check("crypto/internal/entropy/v1%2e0%2e0.Seed", &["crypto/internal/entropy/v1.0.0"]);
    check("a.b/c.Map[go.shape.string,d.e/f.G]", &["a.b/c"]);
    check("a.b/c.(*Map[d.e/f.G]).Load-fm", &["a.b/c"]);
    check("text/template.(*Template).text/template/parse.x", &["text/template"]);
    // One of these two is a package, and no name tells which.
    check("a.b/c.T.d.e/f.m", &["a.b/c", "a.b/c.T.d.e/f"]);
    check("a.b/v1.2/c.F", &["a.b/v1", "a.b/v1.2/c"]);
    check("go.uber.org/zap.New", &["go.uber.org/zap"]);
    check("type:.eq.golang.org/x/crypto/ssh.Client", &[]);
    check("type..hash.a.b/c.T", &[]);
    check("go:buildid", &[]);
    check("_rt0_amd64_linux", &[]);
    check("gogo", &[]);
    check("", &[]);
    check(".", &[]);
    check("/", &[]);
    check("a%2.F", &["a%2"]);
    check("a%zz.F", &["a%zz"]);
}

proptest! {
    #[test]
    fn no_table_makes_it_panic(shape in 0_usize..4, changes in prop::collection::vec((0_usize..160, any::<u8>()), 0..8), length in 0_usize..260) {
        let mut file = TableShape::ALL[shape].table(&NAMES);
        for (at, byte) in changes {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        file.truncate(length);
        let mut layout = ExecutableLayout::default();
        layout.add_loaded(0, 0..1000, false);
        let _found = (read(&file, &marked(0)), read(&file, &layout));
    }

    #[test]
    fn no_name_makes_it_panic(name in "[a.é/(\\[%2:]{0,30}") {
        let _found: Vec<String> = paths(&name).map(unescaped).collect();
    }
}
