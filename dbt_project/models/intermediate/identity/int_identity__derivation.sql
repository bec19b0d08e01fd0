-- What the intermediate tables of this build describe.
select
    {{ is_whole_derivation() | lower }} as is_whole_derivation,
    {{ as_of() }} as as_of
