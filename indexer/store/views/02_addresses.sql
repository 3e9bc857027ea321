-- Addresses as people write them. A constant is worked out once, when a query is planned: about a millisecond.

create function api.keccak256(data bytea) returns bytea
language plpgsql immutable strict parallel safe
as $$
declare
    rate constant int := 136;
    -- the 24 round constants, and where each lane goes and how far it turns in the step called rho and pi
    rounds constant bigint[] := array[
        x'0000000000000001'::bigint, x'0000000000008082'::bigint, x'800000000000808a'::bigint,
        x'8000000080008000'::bigint, x'000000000000808b'::bigint, x'0000000080000001'::bigint,
        x'8000000080008081'::bigint, x'8000000000008009'::bigint, x'000000000000008a'::bigint,
        x'0000000000000088'::bigint, x'0000000080008009'::bigint, x'000000008000000a'::bigint,
        x'000000008000808b'::bigint, x'800000000000008b'::bigint, x'8000000000008089'::bigint,
        x'8000000000008003'::bigint, x'8000000000008002'::bigint, x'8000000000000080'::bigint,
        x'000000000000800a'::bigint, x'800000008000000a'::bigint, x'8000000080008081'::bigint,
        x'8000000000008080'::bigint, x'0000000080000001'::bigint, x'8000000080008008'::bigint];
    place constant int[] := array[10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];
    turn constant int[] := array[1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];
    lanes bigint[] := array_fill(0::bigint, array[25], array[0]);
    column_of bigint[] := array_fill(0::bigint, array[5], array[0]);
    padding int := rate - mod(octet_length(data), rate);
    padded bytea;
    lane bigint;
    moved bigint;
    digest bytea := '';
begin
    padded := data || decode(repeat('00', padding), 'hex');
    padded := set_byte(padded, octet_length(data), 1);
    padded := set_byte(padded, octet_length(padded) - 1, get_byte(padded, octet_length(padded) - 1) | 128);
    for start in 0 .. octet_length(padded) - rate by rate loop
        for i in 0 .. rate / 8 - 1 loop
            lane := 0;
            for b in reverse 7 .. 0 loop
                lane := (lane << 8) | get_byte(padded, start + 8 * i + b);
            end loop;
            lanes[i] := lanes[i] # lane;
        end loop;
        for r in 1 .. 24 loop
            for x in 0 .. 4 loop
                column_of[x] := lanes[x] # lanes[x + 5] # lanes[x + 10] # lanes[x + 15] # lanes[x + 20];
            end loop;
            for x in 0 .. 4 loop
                lane := column_of[mod(x + 1, 5)];
                lane := column_of[mod(x + 4, 5)] # ((lane << 1) | ((lane >> 63) & 1));
                for y in 0 .. 20 by 5 loop
                    lanes[x + y] := lanes[x + y] # lane;
                end loop;
            end loop;
            lane := lanes[1];
            for i in 1 .. 24 loop
                moved := lanes[place[i]];
                -- a bigint has a sign, which shifts to the right would drag along
                lanes[place[i]] := (lane << turn[i]) | ((lane >> (64 - turn[i])) & ~((-1)::bigint << turn[i]));
                lane := moved;
            end loop;
            for y in 0 .. 20 by 5 loop
                for x in 0 .. 4 loop
                    column_of[x] := lanes[y + x];
                end loop;
                for x in 0 .. 4 loop
                    lanes[y + x] := column_of[x] # (~column_of[mod(x + 1, 5)] & column_of[mod(x + 2, 5)]);
                end loop;
            end loop;
            lanes[0] := lanes[0] # rounds[r];
        end loop;
    end loop;
    for i in 0 .. 3 loop
        lane := lanes[i];
        for b in 0 .. 7 loop
            digest := digest || set_byte('\x00'::bytea, 0, ((lane >> (8 * b)) & 255)::int);
        end loop;
    end loop;
    return digest;
end
$$;
comment on function api.keccak256(bytea) is 'Keccak-256 of the bytes: of an event''s signature it is topic0.';

create function api.addr(address text) returns text
language plpgsql immutable strict parallel safe
as $$
declare
    digits constant text := regexp_replace(address, '^0[xX]', '');
    small constant text := lower(digits);
    hash text;
begin
    if small !~ '^[0-9a-f]*$' then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'not an address: ' || quote_literal(address) || ' has characters that are no hex digits';
    elsif length(small) = 64 then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'not an address: ' || quote_literal(address) || ' has 32 bytes',
            hint = 'Ids of pools that are no contracts are compared with pool_id, in lower case.';
    elsif length(small) != 40 then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'not an address: ' || quote_literal(address) || ' has ' || length(small)
                || ' hex digits, an address has 40';
    end if;
    -- letters of one case carry no checksum
    if digits != small and digits != upper(digits) then
        hash := encode(api.keccak256(convert_to(small, 'UTF8')), 'hex');
        for i in 1 .. 40 loop
            if substr(small, i, 1) between 'a' and 'f'
               and (substr(hash, i, 1) in ('8', '9', 'a', 'b', 'c', 'd', 'e', 'f'))
                   != (substr(digits, i, 1) != substr(small, i, 1)) then
                raise exception using errcode = 'invalid_parameter_value',
                    message = 'the checksum of ' || quote_literal(address) || ' is wrong',
                    hint = 'Copy the address again; written in lower case it is taken without a checksum.';
            end if;
        end loop;
    end if;
    return '0x' || small;
end
$$;
comment on function api.addr(text) is
    'An address of any case, with or without 0x, as the views write it. Refuses another length, and mixed case whose EIP-55 checksum is wrong.';
