Gem::Specification.new do |spec|
  spec.files = `git ls-files`.split("\n")
end
