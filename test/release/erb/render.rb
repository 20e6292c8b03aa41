# Prints a job's template as a Director and `bosh create-env` would render it, with the properties that come as JSON on stdin.
# Usage: ruby render.rb SPEC TEMPLATE < properties.json
require 'erb'
require 'json'
require 'ostruct'
require 'yaml'

class UnknownProperty < StandardError
  def initialize(names)
    super("Can't find property '#{names.join("', or '")}'")
  end
end

# What follows an if_p whose properties are all there.
class Done
  def else; end

  def else_if_p(*)
    self
  end
end

# What follows an if_p that lacks a property.
class Open
  def initialize(context)
    @context = context
  end

  def else
    yield
  end

  def else_if_p(*names, &block)
    @context.if_p(*names, &block)
  end
end

# What templates see. A property that is null is one that is absent.
class Context
  attr_reader :name, :index, :spec, :properties, :raw_properties

  def initialize(job, manifest)
    @name = job.fetch('name')
    @index = 0
    @raw_properties = visible(job.fetch('properties', {}), manifest)
    @properties = OpenStruct.new(@raw_properties)
    @spec = OpenStruct.new(name: @name, index: @index, deployment: 'deployment', networks: OpenStruct.new)
  end

  def p(names, *default)
    candidates = Array(names)
    found = candidates.map { |name| value_at(@raw_properties, name) }.find { |value| !value.nil? }
    return found unless found.nil?

    default.empty? ? raise(UnknownProperty.new(candidates)) : default.first
  end

  def if_p(*names)
    values = names.map { |name| value_at(@raw_properties, name) }
    return Open.new(self) if values.any?(&:nil?)

    yield(*values)
    Done.new
  end

  def scope
    binding
  end

  private

  # Only what the spec lists, each with its value or default, or with nil.
  def visible(definitions, manifest)
    definitions.each_with_object({}) do |(path, definition), all|
      *folders, last = path.split('.')
      value = value_in_manifest(manifest, path)
      folder = folders.inject(all) { |at, part| at[part] ||= {} }
      folder[last] = value.nil? ? (definition || {})['default'] : value
    end
  end

  def value_in_manifest(manifest, path)
    path.split('.').inject(manifest) do |at, part|
      raise "Property '#{path}' expects a hash, but received '#{at.class}'" unless at.is_a?(Hash)
      break nil if at[part].nil?

      at[part]
    end
  end

  def value_at(all, path)
    path.split('.').inject(all) { |at, part| at.nil? ? (break nil) : at[part] }
  end
end

spec_file, template_file = ARGV
begin
  context = Context.new(YAML.safe_load(File.read(spec_file)), JSON.parse($stdin.read))
  template = ERB.new(File.read(template_file), trim_mode: '-')
  template.filename = template_file
  print template.result(context.scope)
rescue StandardError, SyntaxError => e
  warn e.message
  exit 1
end
