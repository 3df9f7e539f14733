virt-attest report-show report.bin
virt-attest report-show - < report.bin | head -3
virt-attest report-show --format json report.bin
virt-attest report-show nosuch.bin
virt-attest report-show .
virt-attest report-show garbage
virt-attest report-show --certificates garbage report.bin
virt-attest report-show --certificates nosuch report.bin
virt-attest report-show
virt-attest report-show < /dev/null -
head -c 1183 report.bin | virt-attest report-show -
(cat report.bin; echo) | virt-attest report-show -
(cat report.bin; head -c 24 /dev/zero) | virt-attest report-show - | head -3
cp report.bin bad; printf '\001' | dd of=bad bs=1 seek=76 conv=notrunc status=none; virt-attest report-show bad
cp report.bin bad; printf '\001' | dd of=bad bs=1 seek=816 conv=notrunc status=none; virt-attest report-show bad
cp report.bin bad; printf '\006' | dd of=bad bs=1 seek=0 conv=notrunc status=none; virt-attest report-show bad
cp report.bin bad; printf '\002' | dd of=bad bs=1 seek=52 conv=notrunc status=none; virt-attest report-show bad
cp report.bin odd; printf '\300' | dd of=odd bs=1 seek=64 conv=notrunc status=none; virt-attest report-show odd > /dev/null
echo '{"version": 3}' | virt-attest report-show -
echo '{"version": 3, "version": 3}' | virt-attest report-show -
printf '\026\000\000\000\240\004\000\000' > response; head -c 3000 /dev/zero >> response; virt-attest report-show response
head -c 1048577 /dev/zero | virt-attest report-show -
virt-attest report-show --format yaml report.bin
