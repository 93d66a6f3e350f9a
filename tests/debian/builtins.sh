# Arithmetic, arrays, strings, functions, traps and redirections without starting a process.
set -u
echo "$# arguments: $*"
printf '<%s>' "$@"; echo

declare -A squares
for (( i = 0; i < 500; i++ )); do squares[k$i]=$(( i * i % 257 )); done
total=0
for key in "${!squares[@]}"; do (( total += squares[$key] )); done
echo "${#squares[@]} $total ${squares[k499]}"

fibonacci() {
  local a=0 b=1 i
  for (( i = 0; i < $1; i++ )); do
    local next=$(( a + b ))
    a=$b b=$next
  done
  result=$a
}
for n in 10 50 90; do fibonacci "$n"; echo "fibonacci $n $result"; done

primes=()
for (( n = 2; n < 400; n++ )); do
  for p in "${primes[@]:-}"; do
    [[ -z $p ]] && break
    (( p * p > n )) && break
    (( n % p == 0 )) && continue 2
  done
  primes+=("$n")
done
echo "${#primes[@]} primes: ${primes[*]: -8}"

text='the/quick//brown fox.tar.gz'
echo "${text##*/} ${text%%.*} ${text//o/0} ${text^^} ${#text} ${text:4:5} ${text/#the/a}"
[[ $text =~ ([a-z]+)\.tar\.(gz|xz) ]] && echo "${BASH_REMATCH[@]}"
IFS=/ read -r -a parts <<<"$text"; echo "${#parts[@]} ${parts[2]:-empty} ${parts[3]}"
printf '%05.1f|%-6s|%+d|%x|%q|%b\n' 3.14159 abc 7 255 "it's" 'a\tb'

case $text in *.zip) echo zip ;; *.tar.?z) echo tarball ;; esac
mapfile -t lines <lines.txt
echo "${#lines[@]} lines, last: ${lines[-1]}"
for i in {1..3}; do echo "line $i" >>written.txt; done
exec 5<written.txt
while read -r -u 5 line; do echo "read: $line"; done
exec 5<&-

trap 'echo "caught USR1"; caught=1' USR1
kill -USR1 $$
echo "caught=${caught:-0}"
trap 'echo leaving' EXIT
set -o noclobber
echo no >written.txt || echo "kept, status $?"
[ -f written.txt ] && [ ! -e nothing ] && echo files agree
echo $(( 0x7fffffffffffffff + 1 )) $(( -7 / 2 )) $(( -7 % 3 )) $(( 1 << 62 )) $(( 16#ff ^ 2#1010 )) $(( total > 100 ? 1 : 2 ))
exit 3
