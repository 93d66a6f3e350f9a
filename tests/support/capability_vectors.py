#!/usr/bin/env python3
"""Prints the hashes and sums that tests/unit/capability_test.cpp expects of tests/support/sample_capability.h.

Written from the SSZ specification and docs/capabilities.md with hashlib alone; it shares nothing with the engine's code. Run it and compare
where a layout is changed on purpose.
"""

import hashlib

PAGE = 4096


def sha(data):
    return hashlib.sha256(data).digest()


def merkleize(chunks, limit=None):
    limit = len(chunks) if limit is None else limit
    depth = max(limit - 1, 0).bit_length()
    zero = bytes(32)
    level = list(chunks)
    for _ in range(depth):
        if len(level) % 2:
            level.append(zero)
        level = [sha(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        zero = sha(zero + zero)
    return level[0] if level else zero


def number(value):
    return value.to_bytes(32, "little")


def mix(root, value):
    return sha(root + number(value))


def pack(data):
    data = data + bytes(-len(data) % 32)
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def byte_list(data, limit):
    return mix(merkleize(pack(data), (limit + 31) // 32), len(data))


def listed(roots, limit):
    return mix(merkleize(roots, limit), len(roots))


def u(value, size):
    return value.to_bytes(size, "little")


def container(*fields):
    """Fields are bytes (fixed) or [bytes] (variable)."""
    fixed = sum(4 if isinstance(field, list) else len(field) for field in fields)
    head, tail = b"", b""
    for field in fields:
        if isinstance(field, list):
            head += u(fixed + len(tail), 4)
            tail += field[0]
        else:
            head += field
    return head + tail


def variable_list(items):
    return container(*[[item] for item in items])


def filled(seed):
    return bytes((seed * 31 + index * 7 + index // 256) % 256 for index in range(PAGE))


def data(pages):
    root = mix(merkleize([sha(page) if any(page) else bytes(32) for page in pages], 1 << 20), len(pages) * PAGE)
    distinct, indices = [], b""
    for page in pages:
        if any(page) and page not in distinct:
            distinct.append(page)
        indices += u(distinct.index(page) + 1 if any(page) else 0, 4)
    return 1, root, container(u(len(pages), 4), [indices], [b"".join(distinct)])


def mapping(first, count, permissions, digest, data_page):
    root = merkleize([number(first), number(count), number(permissions), digest, number(data_page)])
    return root, u(first, 4) + u(count, 4) + u(permissions, 1) + digest + u(data_page, 4)


def mappings(items, limit):
    return listed([root for root, _ in items], limit), b"".join(text for _, text in items)


def registers(items):
    root = listed([merkleize([number(n), number(v)]) for n, v in items], 31)
    return root, b"".join(u(n, 1) + u(v, 8) for n, v in items)


def endpoint(index, name, pc, initial):
    root, text = registers(initial)
    return merkleize([number(index), byte_list(name, 255), number(pc), root]), container(u(index, 4), [name], u(pc, 8), [text])


def imported(index, name, signature):
    return merkleize([number(index), byte_list(name, 255), byte_list(signature, 1024)]), container(u(index, 4), [name], [signature])


def image(data_hash):
    maps_root, maps = mappings([mapping(16, 2, 5, data_hash, 1), mapping(32, 4, 3, bytes(32), 0)], 4096)
    ends = [endpoint(0, b"main", 0x10040, [(2, 0x24000), (3, 0x20800)]), endpoint(7, b"", 0x10100, [])]
    ends_root = listed([root for root, _ in ends], 4096)
    functions = [imported(0, b"add", b"int(int, int)"), imported(3, b"log_line", b"void(const char*)")]
    functions_root = listed([root for root, _ in functions], 1024)
    root = merkleize([number(1), number(0), maps_root, ends_root, number(1 << 28), number(0), bytes(32), number(0), functions_root])
    return 2, root, container(
        u(1, 4), u(0, 1), [maps], [variable_list([text for _, text in ends])], u(1 << 28, 8), u(0, 8), bytes(32), u(0, 8),
        [variable_list([text for _, text in functions])])


def cnode(slots):
    root = listed([merkleize([number(n), number(kind), digest, number(owned)]) for n, kind, digest, owned in slots], 256)
    return 3, root, container([b"".join(u(n, 1) + u(kind, 1) + digest + u(owned, 1) for n, kind, digest, owned in slots)])


def instance(image_hash, data_hash, cnode_hash):
    maps_root, maps = mappings([mapping(16, 2, 5, bytes(32), 0), mapping(32, 4, 3, bytes(32), 2)], 65536)
    integers = b"".join(u(index * index * 0x0101010101, 8) for index in range(32))
    floats = b"".join(u(0x3FF0000000000000 + index, 8) for index in range(32))
    lineage = sha(bytes(32) + image_hash)
    pending = [5, (1 << 64) - 1, 1234, 9, (1 << 64) - 1]
    reservation = merkleize([number(0x20010), number(11), number(8)])
    runtime_state, personality_state = b"runtime", bytes(range(100))
    root = merkleize([
        image_hash, bytes(32), maps_root, data_hash, cnode_hash, merkleize(pack(integers)), merkleize(pack(floats)), number(0x61),
        number(0x10044), number(10 ** 12), number(77), reservation, number(2), merkleize([number(value) for value in pending]), lineage,
        byte_list(runtime_state, 64 << 20), byte_list(personality_state, 64 << 20)])
    return 4, root, container(
        image_hash, bytes(32), [maps], data_hash, cnode_hash, integers, floats, u(0x61, 4), u(0x10044, 8), u(10 ** 12, 8), u(77, 8),
        u(0x20010, 8) + u(11, 8) + u(8, 4), u(2, 1),
        b"".join(u(value, 8) for value in pending), lineage, [runtime_state], [personality_state])


def name(capability):
    return mix(capability[1], capability[0])


def main():
    one, two = filled(1), filled(2)
    sample_data = data([one, bytes(PAGE), two, one, bytes(PAGE)])
    sample_image = image(name(sample_data))
    sample_cnode = cnode([(0, 1, name(sample_data), 0), (255, 2, name(sample_image), 0)])
    samples = {"no pages": data([]), "data": sample_data, "image": sample_image, "cnode": sample_cnode,
               "empty cnode": cnode([]), "owning cnode": cnode([(7, 4, bytes([9]) * 32, 1)]), "instance": instance(name(sample_image), name(sample_data), name(sample_cnode))}
    for title, capability in samples.items():
        encoded = bytes([capability[0]]) + capability[2]
        print(f'    {{"{title}", "{name(capability).hex()}",\n     {len(encoded)}, "{sha(encoded).hex()}"}},')
    print("data root", sample_data[1].hex())
    print("sparse   ", data([bytes(PAGE)] * 16383 + [one])[1].hex())


if __name__ == "__main__":
    main()
