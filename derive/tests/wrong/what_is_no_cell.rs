use roommate::Cell;

#[derive(Cell)]
enum Shape {
    Circle(f64),
    #[cell(rename = "square")]
    Square,
    #[cell(rename = "square")]
    Rectangle,
    #[cell(rename = "\u{FFFD}[]")]
    Reserved,
}

#[derive(Cell)]
enum Never {}

#[derive(Cell)]
struct Pet {
    name: String,
}

#[derive(Cell)]
struct Two(u8, u8);

#[derive(Cell)]
#[cell(rename_all = "lowercase")]
struct Newtype(u8);

fn main() {}
