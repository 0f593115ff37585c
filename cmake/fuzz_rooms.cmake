# fuzz_rooms(<source> <variable>): the room libraries that the line "// rooms: a b" of a fuzz target names.
function(fuzz_rooms source variable)
  file(STRINGS ${source} line REGEX "^// rooms: ")
  string(REPLACE "// rooms: " "" names "${line}")
  separate_arguments(names)
  list(TRANSFORM names PREPEND carrick_)
  set(${variable} ${names} PARENT_SCOPE)
endfunction()
