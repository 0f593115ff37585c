# carrick_bpf: every bpf/progs/*.bpf.c compiled by clang (CO-RE) and embedded as a libbpf skeleton <name>.skel.h.
find_program(BPF_CLANG NAMES clang-19 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
set(bpf_out ${CMAKE_BINARY_DIR}/bpf)
file(MAKE_DIRECTORY ${bpf_out})
file(GLOB bpf_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bpf/progs/*.bpf.c)
file(GLOB_RECURSE bpf_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bpf/*.h)
add_library(carrick_bpf INTERFACE)
target_include_directories(carrick_bpf INTERFACE ${CMAKE_SOURCE_DIR}/bpf)
target_include_directories(carrick_bpf SYSTEM INTERFACE ${bpf_out})  # generated
set(skeletons)
foreach(source ${bpf_sources})
  get_filename_component(stem ${source} NAME)
  string(REPLACE ".bpf.c" "" stem ${stem})
  add_custom_command(
    OUTPUT ${bpf_out}/${stem}.skel.h
    COMMAND ${BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -I${CMAKE_SOURCE_DIR}/bpf
            -idirafter /usr/include/x86_64-linux-gnu -c ${source} -o ${bpf_out}/${stem}.bpf.o
    COMMAND ${BPFTOOL} gen skeleton ${bpf_out}/${stem}.bpf.o name ${stem} > ${bpf_out}/${stem}.skel.h
    DEPENDS ${source} ${bpf_headers} COMMENT "BPF ${stem}" VERBATIM)
  list(APPEND skeletons ${bpf_out}/${stem}.skel.h)
endforeach()
add_custom_target(bpf_skeletons DEPENDS ${skeletons})
add_dependencies(carrick_bpf bpf_skeletons)
