use roommate::Row;

#[derive(Row)]
struct Pet {
    #[row(renamed = "title")]
    name: String,
    #[row(default, default)]
    legs: u8,
    #[row(rename = 4)]
    weight: f64,
    #[row(skip, json)]
    seen: bool,
    #[row(json = true)]
    tags: Vec<String>,
}

fn main() {}
