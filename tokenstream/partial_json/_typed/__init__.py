"""Typed objects that are filled in field by field as their JSON arrives.

The classes, each below the class that contains it. `Slot`, `ValueStructure` and `TypeNames` are in `_shapes`.

    Partials (in stages)        reads the text, and returns a Partial after each change
      DocumentText              text and options of the document, shared by all its snapshots
      ValueTree                 builds typed values from the parser's events
        Slot                    reads values of one type: as a whole, or by a ValueStructure
          ValueStructure        reads the values of an object or array one by one, and assembles them
          TypeNames             how an object of the type is shown: its title, fields and aliases
        OpenContainer           one for each open object or array, linked by `parent`
          entries               by key: a validated value, InvalidEntry or UnreadEntry
          FieldLog, ValueLog    the values as they are shown; values are only appended
        FaultLink               the validation errors of one value, linked to the errors before

    Partial                     one snapshot
      TypeNames
      GrowingObject, ...        a view: the first n values of a log, and the value that was still arriving
      SnapshotState             DocumentText, start and end in its text, newest FaultLink, validated value
"""
