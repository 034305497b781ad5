fn main() { Command::new("git").args(["rev-parse"]); }
