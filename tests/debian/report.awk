# Totals, a histogram and a few string functions over "number word number" lines.
{
  count[$2]++
  total[$2] += $1
  if ($3 > largest) { largest = $3; where = NR }
  bucket[int($1 / 1000)]++
  if (match($2, /[aeiou][^aeiou]+$/)) endings[substr($2, RSTART)]++
}
END {
  n = 0
  for (word in count) names[++n] = word
  for (i = 2; i <= n; i++) {
    for (j = i; j > 1 && names[j - 1] > names[j]; j--) {
      swap = names[j]; names[j] = names[j - 1]; names[j - 1] = swap
    }
  }
  for (i = 1; i <= n; i++) {
    word = names[i]
    printf "%-8s %5d %9d %8.3f %s\n", word, count[word], total[word], total[word] / count[word], toupper(substr(word, 1, 1)) substr(word, 2)
  }
  for (i = 0; i <= 10; i++) {
    bar = ""
    while (length(bar) < bucket[i] / 20) bar = bar "#"
    gsub(/#####/, "|", bar)
    printf "%2d %4d %s\n", i, bucket[i], bar
  }
  print NR, largest, where, endings["ak"] + 0, split("a:b:c", parts, ":"), parts[3], index("caisson", "son"), 2 * 3 % 4
}
