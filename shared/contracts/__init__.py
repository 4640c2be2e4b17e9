"""What services say to each other: the template model, messages, subjects, events and errors. No I/O."""
