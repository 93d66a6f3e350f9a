"""Integers of any size, floating point and its formatting, fractions and decimals."""
import cmath
import decimal
import fractions
import math
import statistics

print(math.factorial(300) % (10**50), pow(3, 10**6, 10**40), (1 << 521) - 1 & 0xFFFFFFFFFFFFFFFF)
a, b = 0, 1
for _ in range(3000):
    a, b = b, a + b
print(len(str(a)), str(a)[:30], str(a)[-30:])

values = [math.sin(i) * 10 ** (i % 40 - 20) for i in range(400)]
print(sum(values), math.fsum(values), statistics.fmean(values), statistics.pstdev(values))
for value in (0.1, 1 / 3, 2.5, 1e22, 1e23, 5e-324, -0.0, float("inf"), 123456789.123456789, 2.0**-1074 * 3):
    print(repr(value), f"{value:.3e}", f"{value:g}", value.hex())
print(round(2.5), round(3.5), round(2.675, 2), 7 // -2, 7 % -2, divmod(-7, 2), math.floor(-0.5), int(-1.9))
print(math.gamma(5.5), math.erf(0.5), math.hypot(3, 4), math.log1p(1e-10), math.atan2(-1, -1), cmath.sqrt(-2))
print(fractions.Fraction(1, 3) + fractions.Fraction(0.125), fractions.Fraction(math.pi).limit_denominator(1000))
decimal.getcontext().prec = 50
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7, decimal.Decimal("1e-30").normalize())
total = 0.0
for i in range(1, 60000):
    total += 1.0 / (i * i) if i & 1 else -1.0 / i
print(total.hex(), float.fromhex("0x1.8p+1"), math.nextafter(1.0, 2.0) - 1.0, math.ulp(1e16))
